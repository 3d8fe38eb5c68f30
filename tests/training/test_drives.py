"""Which drives train and which validate, of one set or several; every mistake is refused by its key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_world import BoxDrive
from flat_road import FakeSequence

from surround_depth.data.sample import RecordedSequence
from surround_depth.errors import ConfigError
from surround_depth.frame import PointCloud
from surround_depth.imaging import InputSpec
from surround_depth.training import drives
from surround_depth.training.config import DataConfig, DataSetConfig
from surround_depth.training.drives import evenly, open_drives, split_scenes
from surround_depth.training.first_samples import CutDrive, first_samples
from surround_depth.training.samples import SamplePreparer, SampleStore

LISTS = {None: ("a", "b", "c"), "learn.txt": ("a", "b"), "judge.txt": ("b", "c")}


@dataclass(frozen=True)
class Named:
    root: str
    list_name: str | None

    def scenes(self) -> tuple[str, ...]:
        return LISTS[self.list_name]

    def sequence(self, scene: str) -> Any:
        return RecordedDrive(name=scene)


class RecordedDrive(BoxDrive):
    conditions = ()

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        clouds = [self[i].lidar for i in range(max(index - before, 0), min(index + after + 1, len(self)))]
        return tuple(cloud for cloud in clouds if cloud is not None)

    def boxes(self, index: int) -> tuple[()]:
        return ()

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[()]:
        return ()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stand in for the readers; what they were asked for."""
    calls: list[dict[str, Any]] = []

    def open_dataset(kind: str, root: str, **options: Any) -> Named:
        calls.append({"kind": kind, "root": root, **options})
        return Named(root, options["split"])

    monkeypatch.setattr(drives, "open_dataset", open_dataset)
    return calls


def names(sequences: Any) -> list[str]:
    return [sequence.name for sequence in sequences]


def test_masks_version_rate_and_lists_reach_the_reader(tmp_path: Path, opened: list[dict[str, Any]]) -> None:
    root = str(tmp_path)
    found = open_drives(DataConfig(kind="nuscenes", root=root, version="v1.0", rate="sweeps", masks=root))
    options = {"version": "v1.0", "split": None, "rate": "sweeps", "masks": tmp_path}
    assert opened == [{"kind": "nuscenes", "root": root, **options}]
    assert (names(found.train), names(found.val)) == (["a", "b"], ["c"])
    found = open_drives(DataConfig(root=root, train_split="learn.txt", val_split="judge.txt"))
    assert [call["split"] for call in opened[1:]] == ["learn.txt", "judge.txt"]
    # the whole list validates, and what is in both lists does not train
    assert (names(found.train), names(found.val)) == (["a"], ["b", "c"])


def test_joint_sets_give_all_drives_and_a_repeated_one_is_kept_once(
    tmp_path: Path, opened: list[dict[str, Any]]
) -> None:
    other = DataSetConfig(kind="ddad", root=str(tmp_path), repeat=2)
    found = open_drives(DataConfig(root=str(tmp_path), joint=(other,)))
    assert names(found.train) == ["a", "b", "a", "b", "a", "b"]
    assert names(found.val) == ["c", "c"]
    assert [one.key for one in found.sets] == ["data", "data.joint.0"]
    store = SampleStore(found.train, SamplePreparer(InputSpec(height_px=32, width_px=64), None), cache=True)
    assert len(store) == 3 * 2 * 5
    assert store[10] is store[20]
    assert store[0] is not store[10]


def test_what_is_missing_is_refused_by_the_key_of_its_set(tmp_path: Path, opened: list[dict[str, Any]]) -> None:
    root = str(tmp_path)

    def joint(**options: Any) -> DataConfig:
        return DataConfig(root=root, joint=(DataSetConfig(root=root), DataSetConfig(**options)))

    with pytest.raises(ConfigError, match=r"^data\.root: '~nosuchuser/a' does not exist"):
        open_drives(DataConfig(kind="ddad", root="~nosuchuser/a"))
    with pytest.raises(ConfigError, match=r"data\.joint\.1\.root: '.*missing' .*--set data\.joint\.1\.root=DIR"):
        open_drives(joint(kind="ddad", root=str(tmp_path / "missing")))
    with pytest.raises(ConfigError, match=r"make_synthetic\.py --out .*missing --rig ring5 --seeds 3:11"):
        open_drives(joint(root=f"{root}/missing", rendering={"rig": "ring5", "first_seed": 3}))
    with pytest.raises(ConfigError, match=r"data\.joint\.1\.masks: .*nowhere' is no folder"):
        open_drives(joint(root=root, masks="nowhere"))
    with pytest.raises(ConfigError, match=r"data\.joint\.1\.train_scenes: nope not in .* it has a, b, c"):
        open_drives(joint(root=root, train_scenes=("nope",)))


def test_a_street_has_one_role_in_all_sets_of_its_kind(tmp_path: Path, opened: list[dict[str, Any]]) -> None:
    root = str(tmp_path)
    other = DataSetConfig(root=root, train_scenes=("c",), val_scenes=("b",))
    with pytest.raises(ConfigError, match=r"data\.joint\.0 trains on c, which data validates on"):
        open_drives(DataConfig(root=root, train_scenes=("a",), joint=(other,)))
    open_drives(DataConfig(root=root, joint=(DataSetConfig(kind="ddad", root=root, val_scenes=("a",)),)))


def test_scenes_are_split_and_never_shared() -> None:
    scenes = ("a", "b", "c")

    def split(known: tuple[str, ...] = scenes, **options: Any) -> Any:
        return split_scenes(known, known, DataSetConfig(root="r", **options))

    assert split() == (("a", "b"), ("c",))
    assert split(val_scenes=("a",)) == (("b", "c"), ("a",))
    with pytest.raises(ConfigError, match="share b"):
        split(train_scenes=("a", "b"), val_scenes=("b",))
    with pytest.raises(ConfigError, match=r"data\.train_scenes: nope"):
        split(train_scenes=("nope",))
    with pytest.raises(ConfigError, match="one must train"):
        split(known=("a",))
    with pytest.raises(ConfigError, match="one must train"):
        split_scenes(scenes, (), DataSetConfig(root="r"))


def test_a_limit_takes_the_first_samples_of_every_set(tmp_path: Path, opened: list[dict[str, Any]]) -> None:
    other = DataSetConfig(kind="ddad", root=str(tmp_path))
    found = open_drives(DataConfig(root=str(tmp_path), joint=(other,), limit_samples=7))
    assert [(d.name, len(d)) for d in found.train] == [("a", 5), ("b", 2), ("a", 5), ("b", 2)]
    assert [(d.name, len(d)) for d in found.val] == [("c", 5), ("c", 5)]
    by_heart = open_drives(DataConfig(root=str(tmp_path), limit_samples=2, validate_on="train"))
    assert by_heart.val == by_heart.train
    assert [(d.name, len(d)) for d in by_heart.val] == [("a", 2)]


def test_a_cut_drive_keeps_the_sweeps_of_the_whole(tmp_path: Path) -> None:
    drive = RecordedDrive()
    opened = []
    (cut,) = first_samples((opened.append(i) or drive for i in range(9)), 2)  # type: ignore[func-returns-value]
    assert opened == [0]
    assert isinstance(cut, CutDrive)
    assert isinstance(cut, RecordedSequence)
    assert len(cut.sweeps(1, 0, 2)) == 3
    assert np.array_equal(cut[1].frame.stamps_ns, drive[1].frame.stamps_ns)
    with pytest.raises(IndexError, match="cut to 2"):
        cut[2]
    store = SampleStore([cut], SamplePreparer(InputSpec(height_px=32, width_px=64), None), cache=False)
    assert len(store) == 2
    with pytest.raises(ConfigError, match="fake-0 cannot be cut"):
        first_samples([replace(FakeSequence(), n_samples=3)], 2)


@pytest.mark.parametrize("n,kept", [(None, "abcdefgh"), (9, "abcdefgh"), (2, "cg"), (3, "beg"), (1, "e")])
def test_fewer_drives_are_spread_evenly(n: int | None, kept: str) -> None:
    assert "".join(evenly(tuple("abcdefgh"), n)) == kept


def test_fewer_drives_train_and_as_many_validate(tmp_path: Path, opened: list[dict[str, Any]]) -> None:
    config = DataConfig(root=str(tmp_path), val_scenes=("c",), max_train_drives=1)
    one = open_drives(config).sets[0]
    assert [drive.name for drive in one.train] == ["b"]
    assert [drive.name for drive in one.val] == ["c"]
