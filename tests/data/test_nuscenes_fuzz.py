"""Hostile nuScenes trees: each ends in a named error or a good read, and nothing outside the root is opened."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweep_tree import add_sweeps
from whole_trees import write_nuscenes

from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.errors import SurroundDepthError
from surround_depth.files import CACHE_VARIABLE
from surround_depth.imaging import decode_image

VERSION = "v1.0-mini"
FIELDS = {  # that the reader reads
    "scene": ("token", "name", "description"),
    "sample": ("token", "timestamp", "scene_token"),
    "sample_data": (
        *("token", "sample_token", "ego_pose_token", "calibrated_sensor_token", "timestamp", "is_key_frame"),
        *("height", "width", "filename"),
    ),
    "ego_pose": ("token", "translation", "rotation"),
    "calibrated_sensor": ("token", "sensor_token", "translation", "rotation", "camera_intrinsic"),
    "sensor": ("token", "channel", "modality"),
    "category": ("token", "name"),
    "instance": ("token", "category_token"),
    "sample_annotation": ("token", "sample_token", "instance_token", "translation", "size", "rotation"),
}
TABLES = tuple(FIELDS)
DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]
HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 2**63, 10**400, 0.5, float("nan"), 1e308),
    *("", "x", "\ud800", "\0", "ü\n", "a" * 70_000, "/etc/passwd", "../secret", ".."),
    *([], {}, [1e308] * 3, [1e308] * 4, [float("inf")] * 3, ["1"] * 3, [10**400] * 3, [[1e308] * 3] * 3, DEEP),
)
SENSORS = ("CAM_FRONT", "CAM_BACK", "LIDAR_TOP")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    write_nuscenes(root / "tree", [make_drive("scene-0001", n_samples=2)], VERSION)
    add_sweeps(root / "tree", VERSION)
    rows = [row for row in rows_of(root / "tree", "sample_data") if Path(row["filename"]).parent.name in SENSORS]
    write_rows(root / "tree", "sample_data", rows)
    (root / "secret").write_bytes(b"secret")
    return root / "tree"


@pytest.fixture
def tree(pristine, tmp_path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    return Path(shutil.copytree(pristine, tmp_path / "tree"))


@pytest.fixture(autouse=True)
def no_cache(monkeypatch) -> None:
    """Parse each time."""
    monkeypatch.setenv(CACHE_VARIABLE, "/dev/null/none")


class _Opened:
    """Every path that Python opens while it listens; an audit hook cannot be removed, so there is one."""

    paths: list[str] | None = None
    is_hooked = False

    @classmethod
    def hear(cls, event: str, arguments: tuple[Any, ...]) -> None:
        if cls.paths is not None and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            cls.paths.append(os.fsdecode(arguments[0]))


@contextmanager
def only_inside(root: Path) -> Iterator[None]:
    """Fail where a file outside `root` (and outside Python's own) is opened."""
    if not _Opened.is_hooked:
        sys.addaudithook(_Opened.hear)
        _Opened.is_hooked = True
    _Opened.paths = []
    try:
        yield
    finally:
        opened, _Opened.paths = _Opened.paths, None
    own = (str(root) + os.sep, sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), "/dev/null")
    assert not [path for path in opened if not os.path.realpath(path).startswith(own)]


def exercise(tree: Path) -> None:
    """Use all of a tree, both rates and both policies; what is raised must be a named error of one line."""
    with only_inside(tree):
        with named_errors():
            assert NuScenesDataset(tree, VERSION).sequence("scene-0001")[0].frame.camera_valid.any()
        with named_errors():
            dataset = NuScenesDataset(tree, VERSION, rate="sweeps", on_damage="skip")
            for scene in dataset.scenes():
                with named_errors():
                    use(dataset.sequence(scene))


def use(sequence: Any) -> None:
    """Read the first and last sample of a sequence with all that belongs to them."""
    assert set(sequence.conditions) <= {"night", "rain"}
    for index in (0, len(sequence) - 1):
        with named_errors():
            use_sample(sequence, index)


def use_sample(sequence: Any, index: int) -> None:
    """Read one sample, its sweeps and boxes, and the pictures of the first."""
    sample = sequence[index]
    frame = sample.frame
    for camera, image in zip(frame.rig.cameras, frame.images, strict=True):
        if image is not None and index == 0:
            with named_errors():
                decode_image(image, camera, camera.height_px, camera.width_px)
    assert sample.lidar is None or np.isfinite(sample.lidar.points_m).all()
    with named_errors():
        assert all(np.isfinite(cloud.points_m).all() for cloud in sequence.sweeps(index, 1, 1))
    with named_errors():
        assert all(min(box.size_m) > 0 and np.isfinite(box.T_world_box).all() for box in sequence.boxes(index))


@contextmanager
def named_errors() -> Iterator[None]:
    try:
        yield
    except SurroundDepthError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < 2000  # noqa: PT017


def rows_of(tree: Path, table: str) -> list[dict[str, Any]]:
    return json.loads((tree / VERSION / f"{table}.json").read_text())


def write_rows(tree: Path, table: str, rows: Any) -> None:
    (tree / VERSION / f"{table}.json").write_text(json.dumps(rows))


def test_a_good_tree_is_read(tree):
    """The harness itself: nothing is refused, and it would notice a file outside."""
    dataset = NuScenesDataset(tree, rate="sweeps")
    assert dataset.damage == ()
    exercise(tree)
    with pytest.raises(AssertionError), only_inside(tree):
        (tree.parent / "secret").read_bytes()


@pytest.mark.parametrize("table", TABLES)
def test_hostile_values(tree, table):
    """Each field of a first row takes each hostile value, and is left out."""
    rows, place = rows_of(tree, table), 0
    if table == "sample_data":
        place = next(i for i, row in enumerate(rows) if row["is_key_frame"])
    good = rows[place]
    for key in FIELDS[table]:
        rows[place] = {name: value for name, value in good.items() if name != key}
        write_rows(tree, table, rows)
        exercise(tree)
        for value in HOSTILE:
            rows[place] = good | {key: value}
            write_rows(tree, table, rows)
            exercise(tree)
    for value in HOSTILE[::6]:
        rows[place] = good | {key: value for key in good if key not in FIELDS[table]}
        write_rows(tree, table, rows)
        assert NuScenesDataset(tree, VERSION).sequence("scene-0001")[0].frame.camera_valid.all()


@pytest.mark.parametrize("table", TABLES)
def test_cut_and_flipped_tables(tree, table):
    path, rng = tree / VERSION / f"{table}.json", np.random.default_rng(TABLES.index(table))
    whole = path.read_bytes()
    for n_bytes in (0, 1, *rng.integers(2, len(whole), 6).tolist(), len(whole) - 1):
        path.write_bytes(whole[:n_bytes])
        exercise(tree)
    for place, bit in zip(rng.integers(0, len(whole), 25).tolist(), rng.integers(0, 8, 25).tolist(), strict=True):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        exercise(tree)


@pytest.mark.parametrize("table", TABLES)
def test_documents_of_another_shape(tree, table):
    rows = rows_of(tree, table)
    for content in (
        b"\xff\xfe[",
        b"[" * 100_000,
        b'[{"a":' * 50_000,
        b"[NaN]",
        b"[Infinity, {}]",
        b"\0" * 100,
        b"[" + b"9" * 5000,
    ):
        (tree / VERSION / f"{table}.json").write_bytes(content)
        exercise(tree)
    for other in (
        [],
        {},
        None,
        [[]],
        [None],
        [{}],
        rows + rows,
        rows[::-1],
        rows[:1] * 3,
        [*rows, "x"],
        {"rows": rows},
    ):
        write_rows(tree, table, other)
        exercise(tree)


def test_tokens_that_lead_nowhere_or_to_each_other(tree):
    for table in TABLES:
        rows, rng = rows_of(tree, table), np.random.default_rng(5)
        for key in [key for key in rows[0] if key.endswith("token")]:
            others = [row[key] for row in rows]
            drawn = [others[i] for i in rng.integers(0, len(others), len(others))]
            for values in (["f" * 32] * len(rows), others[:1] * len(rows), drawn, list(map(str, range(len(rows))))):
                write_rows(tree, table, [row | {key: value} for row, value in zip(rows, values, strict=True)])
                exercise(tree)
        write_rows(tree, table, rows)


@pytest.mark.parametrize("pattern", ["CAM_FRONT/*.jpg", "LIDAR_TOP/*.bin"])
def test_damaged_files(tree, pattern):
    path, rng = sorted(tree.glob(f"samples/{pattern}"))[0], np.random.default_rng(6)
    whole = path.read_bytes()
    for n_bytes in (0, 1, *rng.integers(2, len(whole), 20).tolist(), len(whole) - 1):
        path.write_bytes(whole[:n_bytes])
        exercise(tree)
    for place, bit in zip(rng.integers(0, len(whole), 60).tolist(), rng.integers(0, 8, 60).tolist(), strict=True):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        exercise(tree)


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return a change that puts something else where a file or folder was."""

    def change(path: Path) -> None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        with suppress(FileExistsError):
            make(path)

    return change


STRANGE: dict[str, Callable[[Path], None]] = {
    "gone": replaced(lambda path: None),
    "folder": replaced(Path.mkdir),
    "pipe": replaced(os.mkfifo),
    "link out": replaced(lambda path: path.symlink_to("/etc/hostname")),
    "circle": replaced(lambda path: path.symlink_to(path.name)),
    "link to nothing": replaced(lambda path: path.symlink_to("nothing")),
}


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE)
def test_strange_things_in_place_of_files(pristine, tmp_path, change):
    image = sorted(pristine.glob("samples/CAM_BACK/*"))[0].relative_to(pristine)
    sweep = sorted(pristine.glob("samples/LIDAR_TOP/*"))[0].relative_to(pristine)
    tables = [Path(VERSION) / f"{table}.json" for table in TABLES]
    for number, place in enumerate([image, sweep, image.parent, Path("samples"), Path(VERSION), *tables]):
        tree = Path(shutil.copytree(pristine, tmp_path / str(number), copy_function=os.link))
        change(tree / place)
        exercise(tree)


def test_links_between_folders_do_not_lead_out(tree):
    outside = tree.parent / "outside"
    shutil.copytree(tree, outside)
    for name in (VERSION, "samples", "sweeps"):
        shutil.rmtree(tree / name)
        (tree / name).symlink_to(outside / name)
        exercise(tree)
