"""Hostile DGP trees: every damage ends in a named error or in a good read; never a crash, a hang or a foreign file."""

from __future__ import annotations

import io
import json
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from whole_trees import write_dgp

from surround_depth.data.ddad import DdadDataset
from surround_depth.errors import SurroundDepthError
from surround_depth.imaging import decode_image

SCENE = "000150"
BOXES = f"{SCENE}/boxes.json"
ONTOLOGY = f"{SCENE}/ontology/abc.json"
SECRET = "not for your eyes"


@pytest.fixture(scope="module")
def tree(tmp_path_factory, make_drive) -> Path:
    """A small tree with boxes, an ontology and one PNG image; a case changes one file and puts it back."""
    root = tmp_path_factory.mktemp("fuzz") / "root"
    write_dgp(root, [make_drive(SCENE, rig="ddad", n_samples=2)], split="val")
    shutil.rmtree(root / "dense_depth")
    (root.parent / "secret.json").write_text(json.dumps({"name": SECRET, "names": [SECRET]}))
    pose = {"rotation": {"qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0}, "translation": {"x": 9.0, "y": 0.0, "z": 1.0}}
    box = {"class_id": 2, "instance_id": 7, "box": {"length": 4.0, "width": 2.0, "height": 1.5, "pose": pose}}
    (root / BOXES).write_text(json.dumps({"annotations": [box]}))
    (root / ONTOLOGY).parent.mkdir()
    (root / ONTOLOGY).write_text(json.dumps({"items": [{"id": 2, "name": "Car"}]}))
    path = scene_path(root)
    scene = json.loads(path.read_text())
    scene["ontologies"] = {"1": "abc"}
    scene["data"][0]["datum"]["point_cloud"]["annotations"] = {"1": "boxes.json"}
    image = scene["data"][1]["datum"]["image"]
    jpeg = root / SCENE / image["filename"]
    image["filename"] = str(Path(image["filename"]).with_suffix(".png"))
    cv2.imwrite(str(root / SCENE / image["filename"]), cv2.imread(str(jpeg)))
    path.write_text(json.dumps(scene))
    read(root, images=True)
    return root


def scene_path(root: Path) -> Path:
    return next((root / SCENE).glob("scene_*.json"))


def files(root: Path) -> dict[str, Path]:
    """Return one file of each kind."""
    clouds = sorted((root / SCENE / "point_cloud" / "LIDAR").iterdir())
    return {
        "list": root / "scene_dataset_v1.0.json",
        "scene": scene_path(root),
        "calibration": next((root / SCENE / "calibration").iterdir()),
        "boxes": root / BOXES,
        "ontology": root / ONTOLOGY,
        "cloud": clouds[0],
        "png": next((root / SCENE).glob("rgb/*/*.png")),
        "jpeg": sorted((root / SCENE).glob("rgb/CAMERA_09/*.jpg"))[0],
        "mask": root / "own_body" / "CAMERA_01_mask.png",
    }


JSON_KINDS = ("list", "scene", "calibration", "boxes", "ontology")


def read(root: Path, images: bool = False) -> None:
    """Read a whole scene: frames, sweeps, boxes, stamps and, if asked, pixels."""
    dataset = DdadDataset(root)
    for name in dataset.scenes():
        sequence = dataset.sequence(name)
        for i in range(len(sequence)):
            frame = sequence[i].frame
            assert SECRET not in str(sequence.boxes(i))
            if images:
                for camera, image in zip(frame.rig.cameras, frame.images, strict=True):
                    if image is not None:
                        decode_image(image, camera, camera.height_px, camera.width_px)
        sequence.sweeps(0, 0, len(sequence))


def survives(root: Path, images: bool = False) -> bool:
    """Return whether the tree still reads; a refusal must be ours, one line, and may not warn or show the secret."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read(root, images)
        except SurroundDepthError as error:
            message = str(error)
            assert 10 < len(message) < 700, message
            assert "\n" not in message
            assert SECRET not in message
            return False
    return True


def damaged(root: Path, path: Path, contents: Iterator[bytes], images: bool = False) -> list[bool]:
    """Return whether the tree reads with each of these contents in place of a file's own."""
    whole = path.read_bytes()
    try:
        results = []
        for content in contents:
            path.write_bytes(content)
            results.append(survives(root, images))
        return results
    finally:
        path.write_bytes(whole)


def cuts(whole: bytes, n: int) -> Iterator[bytes]:
    for length in np.unique(np.linspace(0, len(whole) - 1, n).astype(int)):
        yield whole[:length]


def flips(whole: bytes, n: int, seed: int) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    for _ in range(n):
        place, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        yield whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :]


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_cut_json(tree, kind):
    path = files(tree)[kind]
    # Without the final newline or blank it is still whole.
    assert sum(damaged(tree, path, cuts(path.read_bytes().rstrip(), 25))) == 0


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_flipped_json(tree, kind):
    path = files(tree)[kind]
    damaged(tree, path, flips(path.read_bytes(), 40, seed=1))


@pytest.mark.parametrize("kind", ["png", "jpeg", "cloud", "mask"])
def test_cut_and_flipped_files(tree, kind):
    path = files(tree)[kind]
    whole = path.read_bytes()
    short = damaged(tree, path, cuts(whole, 25), images=True)
    # A JPEG that only lacks its last rows may still be shown; everything else must be whole.
    assert not any(short[:20]), kind
    damaged(tree, path, flips(whole, 40, seed=2), images=True)


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "../../secret.json",
    "/etc/passwd",
    "a\0b",
    "x" * 300,
    "C:\\x",
    [],
    [[]],
    [None],
    {},
    {"1": 7},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value of a JSON document, of lists only the first two items."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = replaced(document[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_hostile_values_in_every_field(tree, kind):
    path = files(tree)[kind]
    document = json.loads(path.read_text())
    ways = list(places(document))

    def contents() -> Iterator[bytes]:
        for i, way in enumerate(ways):
            for shift in range(0, len(HOSTILE), 3):  # a third of the values, another third for the next field
                value = HOSTILE[(i + shift) % len(HOSTILE)]
                yield json.dumps(replaced(document, way, value)).encode()

    results = damaged(tree, path, contents())
    assert 0 < sum(results) < len(results)  # some fields are not read, others are


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_documents_of_another_kind(tree, kind):
    contents = (b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"null", b"7", b'"x"', b"[]", b"{}", b"\x00" * 64)
    assert not any(damaged(tree, files(tree)[kind], iter(contents)))


def npz(array: np.ndarray, key: str = "data", **options: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **{key: array}, **options)
    return stream.getvalue()


def claiming(shape: str, descr: str = "'<f8'") -> bytes:
    """Return an npz whose array header was written by hand."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 320)
    return stream.getvalue()


def test_hostile_arrays(tree):
    rows = np.ones((10, 4))
    contents = [
        npz(rows.astype(np.complex128)),
        npz(rows.astype(np.int64)),
        npz(rows.astype("S4")),
        npz(rows.astype(object)),
        npz(rows[:, :3]),
        npz(rows[None]),
        npz(np.float64(1.0)),
        npz(rows, key="points"),
        *(npz(np.where(np.arange(40).reshape(10, 4) == 17, value, rows)) for value in (np.nan, np.inf, 1e300, -1e39)),
        *(claiming(shape) for shape in ("(-1, 4)", "(10, 4, 2**40)", "(1e3, 4)", "(99999999999, 4)", "None")),
        claiming("(10, 4)", "'|O'"),
        claiming("(10, 4)", "[('a', '<f8')]"),
        claiming("(10, 4)", "__import__('os').getcwd()"),
        b"PK\x05\x06" + b"\0" * 18,  # an archive of nothing
        b"",
    ]
    assert not any(damaged(tree, files(tree)["cloud"], iter(contents)))
    sound = [npz(np.empty((0, 4))), npz(rows.astype(np.float32)), npz(np.asfortranarray(rows)), claiming("(10, 4)")]
    assert all(damaged(tree, files(tree)["cloud"], iter(sound)))


PUT: dict[str, Callable[[Path, Path], None]] = {
    "a link out of the root": lambda path, root: path.symlink_to(root.parent / "secret.json"),
    "a link in a circle": lambda path, root: path.symlink_to(path),
    "a link to a folder": lambda path, root: path.symlink_to(root),
    "a folder": lambda path, root: path.mkdir(),
    "nothing": lambda path, root: None,
}


@pytest.mark.parametrize("kind", ["scene", "calibration", "boxes", "ontology", "cloud", "png"])
@pytest.mark.parametrize("put", PUT)
def test_no_file_where_one_is_named(tree, kind, put):
    path = files(tree)[kind]
    whole = path.read_bytes()
    path.unlink()
    try:
        PUT[put](path, tree)
        assert not survives(tree)
    finally:
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            path.rmdir()
        path.write_bytes(whole)


def test_a_folder_that_is_a_link_out_of_the_root(tree, tmp_path):
    """The same files, but somewhere else: not read."""
    folder = tree / SCENE / "point_cloud"
    moved = tmp_path / "point_cloud"
    folder.rename(moved)
    folder.symlink_to(moved)
    try:
        assert not survives(tree)
    finally:
        folder.unlink()
        moved.rename(folder)
    assert survives(tree)
