"""Lists by name: what they hold, the hash they carry, and how they narrow a data set."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from whole_trees import write_dgp, write_nuscenes

from surround_depth.data.build import open_dataset
from surround_depth.data.splits import read_split, shipped_splits
from surround_depth.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def tree(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("splits")
    write_nuscenes(root, [make_drive(f"scene-000{i}", n_samples=3, seed=i) for i in (1, 2, 3)])
    return root


@pytest.fixture(scope="module")
def dgp(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("dgp_splits")
    write_dgp(root, [make_drive(f"scene-000{i}", n_samples=3, seed=i) for i in (1, 2)], "val")
    return root


def test_the_official_lists():
    splits = pytest.importorskip("nuscenes.utils.splits", reason="nuscenes-devkit is not installed: crosscheck")
    official = splits.create_splits_scenes()
    assert shipped_splits() == ("mini_train", "mini_val", "test", "train", "val")
    for name in shipped_splits():
        split = read_split(name)
        assert (split.name, split.kind, list(split.items)) == (name, "scenes", official[name])


def test_the_hash_is_of_the_items(tmp_path):
    (tmp_path / "a.txt").write_text("# ours\n\nscene-0002\n  scene-0001  \n")
    split = read_split(tmp_path / "a.txt")
    assert split.items == ("scene-0002", "scene-0001")
    assert split.sha256 == hashlib.sha256(b"scene-0002\nscene-0001\n").hexdigest()
    (tmp_path / "b.txt").write_text("scene-0002\r\nscene-0001")
    assert read_split(str(tmp_path / "b.txt")).sha256 == split.sha256


@pytest.mark.parametrize(
    "content, message",
    [
        (b"# nothing\n", "lists nothing"),
        (b"\xff\xfe", "cannot be read as UTF-8"),
        (b"scene-0001\n" + b"0" * 32, "mixes samples and scenes"),
        (b"scene-0001\nscene 5", "mixes frames and scenes"),
    ],
)
def test_refused_files(tmp_path, content, message):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_split(tmp_path / "list.txt")


@pytest.mark.parametrize("name", ["~nosuchuser/list", "a" * 300])
def test_what_cannot_be_looked_up(name):
    with pytest.raises(DataError, match="cannot be looked up") as error:
        read_split(name)
    with pytest.raises(DataError, match=r"nuScenes root .* cannot be looked up"):
        open_dataset("nuscenes", name)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("name", ["vall", "../splits/val", "", "/", "."])
def test_neither_a_name_nor_a_file(name):
    with pytest.raises(DataError, match="neither a file nor one of mini_train, mini_val, test, train, val"):
        read_split(name)


@pytest.mark.parametrize("kind", ["nuscenes", "synthetic"])
def test_scenes(tree, tmp_path, kind):
    (tmp_path / "two.txt").write_text("scene-0003\nscene-0001\n")
    dataset = open_dataset(kind, tree, split=tmp_path / "two.txt")
    assert dataset.scenes() == ("scene-0001", "scene-0003")
    assert len(dataset.sequence("scene-0003")) == 3
    assert dataset.split == read_split(tmp_path / "two.txt")
    with pytest.raises(DataError, match="no scene 'scene-0002'"):
        dataset.sequence("scene-0002")


def test_samples(tree, tmp_path):
    whole = open_dataset("nuscenes", tree)
    tokens = [sample.frame.frame_id for scene in ("scene-0002", "scene-0001") for sample in whole.sequence(scene)]
    (tmp_path / "four.txt").write_text("\n".join([tokens[2], tokens[0], tokens[4], tokens[2]]))
    dataset = open_dataset("nuscenes", tree, split=tmp_path / "four.txt")
    assert dataset.scenes() == ("scene-0001", "scene-0002")
    assert [sample.frame.frame_id for sample in dataset.sequence("scene-0002")] == [tokens[k] for k in (2, 0, 2)]
    assert dataset.sequence("scene-0002").split_items == (tokens[2], tokens[0], tokens[2])
    assert [sample.frame.frame_id for sample in dataset.sequence("scene-0001")] == [tokens[4]]
    assert len(dataset.sequence("scene-0002").sweeps(1, 0, 9)) == 3  # of the whole scene


def test_what_the_tables_lack_is_refused_or_told(tree, tmp_path):
    with pytest.raises(
        DataError, match=r"split val: 149 of its 150 scenes are not in .*\(scene-0012, scene-0013, scene"
    ):
        open_dataset("nuscenes", tree, split="val")
    dataset = open_dataset("nuscenes", tree, split="val", on_damage="skip")
    assert dataset.scenes() == ("scene-0003",)
    assert len(dataset.damage) == 1
    with pytest.raises(DataError, match="8 of its 8 scenes are not in"):
        open_dataset("nuscenes", tree, split="mini_train", on_damage="skip")
    (tmp_path / "frames.txt").write_text("scene-0001 5\n")
    with pytest.raises(DataError, match="nuScenes needs scene names or sample tokens"):
        open_dataset("nuscenes", tree, split=tmp_path / "frames.txt")


def test_ddad_by_its_own_name_or_by_timestamps(dgp, tmp_path):
    assert open_dataset("ddad", dgp, split="val").scenes() == ("scene-0001", "scene-0002")
    stems = sorted(int(path.stem) for path in (dgp / "scene-0002" / "rgb" / "CAM_FRONT").glob("*.jpg"))
    lines = [f"scene-0002 {stems[2]}", f"scene-0002 {stems[0]}", f"scene-0002 {stems[2]}"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    dataset = open_dataset("ddad", dgp, split=tmp_path / "list.txt")
    assert dataset.scenes() == ("scene-0002",)
    sequence = dataset.sequence("scene-0002")
    front = sequence[0].frame.rig.index("CAM_FRONT")
    assert [sample.frame.stamps_ns[front] // 1000 for sample in sequence] == [stems[2], stems[0], stems[2]]
    assert dataset.split.kind == "frames"
    (tmp_path / "list.txt").write_text("scene-0002 1234567890123456\n")
    with pytest.raises(DataError, match="has no image of time '1234567890123456'"):
        open_dataset("ddad", dgp, split=tmp_path / "list.txt").sequence("scene-0002")[0]
    (tmp_path / "list.txt").write_text("scene-0009 1234567890123456\n")
    with pytest.raises(DataError, match=r"lacks 1 of its scenes \('scene-0009'"):
        open_dataset("ddad", dgp, split=tmp_path / "list.txt")
    with pytest.raises(DataError, match="DDAD needs lines of 'SCENE TIMESTAMP'"):
        open_dataset("ddad", dgp, split="mini_val")


def test_options_that_a_kind_has_not(tree, dgp):
    with pytest.raises(ConfigError, match="ddad has neither version nor sweeps"):
        open_dataset("ddad", dgp, rate="sweeps")
    masked = open_dataset("nuscenes", tree, masks=tree / "own_body").sequence("scene-0001")[0]
    assert all(camera.own_body is not None for camera in masked.frame.rig.cameras)


def test_masks_stand_in_for_those_that_a_synthetic_tree_brings(tree, tmp_path):
    names = open_dataset("synthetic", tree).sequence("scene-0001")[0].frame.rig.names
    camera = open_dataset("synthetic", tree).sequence("scene-0001")[0].frame.rig.cameras[0]
    for name in names:
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((camera.height_px, camera.width_px), np.uint8))
    masked = open_dataset("synthetic", tree, masks=tmp_path)
    assert all(c.own_body.all() for c in masked.sequence("scene-0001")[0].frame.rig.cameras)
    assert masked.masks_sha256 != open_dataset("synthetic", tree).masks_sha256
