"""Damaged DDAD scenes: refused by name, or left out and told."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from dgp_edits import edit, edit_scene, first

from surround_depth.data import paths
from surround_depth.data.build import open_dataset
from surround_depth.data.ddad import DdadDataset
from surround_depth.errors import ConfigError, DataError


@pytest.fixture
def tree(dgp_tree) -> Path:
    return dgp_tree


def set_filename(name):
    def change(scene):
        scene["data"][0]["datum"]["point_cloud"]["filename"] = name

    return change


def set_pose(scene):
    scene["data"][1]["datum"]["image"]["pose"]["rotation"]["qw"] = 5.0


BROKEN = {
    "absolute": (set_filename("/etc/passwd"), "leaves the data root"),
    "parent": (set_filename("../../x.npz"), "leaves the data root"),
    "absent": (set_filename("point_cloud/LIDAR/none.npz"), "does not exist"),
    "pose": (set_pose, r"data\[1\], datum, image, pose: quaternion"),
    "key": (lambda scene: scene["samples"][0].update(datum_keys=["zz"]), "datum key 'zz' is not in its data"),
    "calibration": (
        lambda scene: scene["samples"][0].update(calibration_key="zz"),
        "calibration/zz.json' does not exist",
    ),
    "calibration_path": (lambda scene: scene["samples"][0].update(calibration_key="../zz"), "leaves the data root"),
    "calibration_name": (
        lambda scene: scene["samples"][0].update(calibration_key="x\ny"),
        r"samples\[0\]: calibration_key must be text of printable characters, got 'x\\ny'",
    ),
    "key_twice": (
        lambda scene: scene["data"].append(scene["data"][0]),
        r"data\[14\]: 000150/scene_.*json data\[0\] has the same key; remove one",
    ),
    "sample_twice": (
        lambda scene: scene["samples"].append(scene["samples"][0]),
        r"samples\[2\]: 000150/scene_.*json samples\[0\] has its datum '.*' too; remove one",
    ),
    "samples": (lambda scene: scene.pop("samples"), "no field 'samples'"),
    "data": (lambda scene: scene.update(data=[1]), "expected a list of objects"),
}


@pytest.mark.parametrize("change, message", BROKEN.values(), ids=BROKEN)
def test_broken_scene(tree, change, message):
    edit_scene(tree, change)
    with pytest.raises(DataError, match=message):
        first(tree)


def test_broken_calibration(tree):
    edit(tree, "000150/calibration/*.json", lambda calibration: calibration["names"].pop())
    with pytest.raises(DataError, match="6 names, 7 intrinsics, 7 extrinsics"):
        first(tree)


def test_calibration_of_one_name_twice(tree):
    edit(tree, "000150/calibration/*.json", lambda calibration: calibration["names"].__setitem__(1, "camera_01"))
    with pytest.raises(DataError, match=r"calibration/.*json, 'CAMERA_01': an earlier sensor has the same name"):
        first(tree)


def test_a_scene_name_of_two_lines(tree):
    edit(tree, "scene_dataset*.json", lambda c: c.update(scene_splits={"1": {"filenames": ["sc\nene_02/xy.json"]}}))
    with pytest.raises(DataError, match="scene_splits must list file names"):
        DdadDataset(tree)


def two_scenes(tree: Path) -> Path:
    """Return a tree whose second scene, "000151", is cut short."""
    scene = shutil.copytree(tree / "000150", tree / "000151")
    path = next(scene.glob("scene_*.json"))
    names = [f"{name}/{path.name}" for name in ("000150", "000151")]
    edit(tree, "scene_dataset*.json", lambda content: content.update(scene_splits={"1": {"filenames": names}}))
    path.write_bytes(path.read_bytes()[:1000])
    return tree


def test_a_damaged_scene_is_left_out_and_told(tree):
    two_scenes(tree)
    with pytest.raises(DataError, match="is not valid JSON"):
        DdadDataset(tree).sequence("000151")
    dataset = open_dataset("ddad", tree, on_damage="skip")
    assert dataset.scenes() == ("000150",)
    (line,) = dataset.damage
    assert "000151" in line
    assert "is not valid JSON" in line
    with pytest.raises(ConfigError, match="on_damage 'ignore' is not one of raise, skip"):
        open_dataset("ddad", tree, on_damage="ignore")


def test_a_damaged_sample_is_left_out_and_told(tree):
    edit_scene(tree, lambda scene: scene["samples"][0].update(datum_keys=["zz"]))
    dataset = open_dataset("ddad", tree, on_damage="skip")
    (line,) = dataset.damage
    assert "samples[0]: datum key 'zz' is not in its data" in line
    sequence = dataset.sequence("000150")
    assert len(sequence) == 1
    assert sequence[0].frame.frame_id == "000150/000001"


def test_a_list_of_damaged_scenes_is_told_too(tree, tmp_path):
    two_scenes(tree)
    stem = Path(DdadDataset(tree).sequence("000150").samples[0].data["CAMERA_01"].filename).stem
    (tmp_path / "list.txt").write_text(f"000150 {stem}\n000150 1234567890123456\n000151 {stem}\n")
    with pytest.raises(DataError, match="is not valid JSON"):
        open_dataset("ddad", tree, split=tmp_path / "list.txt").sequence("000151")
    dataset = open_dataset("ddad", tree, split=tmp_path / "list.txt", on_damage="skip")
    assert dataset.scenes() == ("000150",)
    assert dataset.sequence("000150").split_items == (f"000150 {stem}",)
    for line, words in zip(
        dataset.damage, ("not valid JSON", "lacks 1 of its scenes", "no image of time"), strict=True
    ):
        assert words in line


def test_camera_without_calibration(tree):
    edit(tree, "000150/calibration/*.json", lambda calibration: calibration["names"].__setitem__(1, "OTHER"))
    with pytest.raises(DataError, match="no sensor 'CAMERA_05'; it has 'LIDAR', 'OTHER'"):
        first(tree)


def cloud_path(tree: Path) -> Path:
    return sorted((tree / "000150" / "point_cloud" / "LIDAR").iterdir())[0]


def test_cut_cloud(tree):
    path = cloud_path(tree)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="not a readable npz"):
        first(tree)


def test_cloud_with_a_flipped_bit(tree):
    path = cloud_path(tree)
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with contextlib.suppress(DataError):  # a bit of a date or a flag does no harm
            first(tree)


def test_cloud_with_a_corrupt_stream(tree):
    path = cloud_path(tree)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 64] = b"\xff" * 64
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="not a readable npz"):
        first(tree)


def test_cloud_that_claims_more_than_it_holds(tree):
    header = {"descr": "<f8", "fortran_order": False, "shape": (25_000_000_000_000, 4)}
    with zipfile.ZipFile(cloud_path(tree), "w") as archive, archive.open("data.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(DataError, match="claims 800000000000000 bytes, it holds 0"):
        first(tree)


def test_cloud_that_inflates_without_end(tree, monkeypatch):
    monkeypatch.setattr(paths, "_MAX_ARRAY_BYTES", 1000)
    with pytest.raises(DataError, match="the limit is 1000"):
        first(tree)


def test_pickled_cloud_is_not_loaded(tree):
    np.savez(cloud_path(tree), data=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="not a readable npz"):
        first(tree)


def test_cloud_of_another_kind(tree):
    np.savez(cloud_path(tree), points=np.zeros((3, 4)))
    with pytest.raises(DataError, match="no array 'data'"):
        first(tree)
    np.savez(cloud_path(tree), data=np.zeros((3, 2)))
    with pytest.raises(DataError, match=r"float64 \(3, 2\), expected floats \[P, 4\]"):
        first(tree)
    np.savez(cloud_path(tree), data=np.full((3, 4), np.inf))
    with pytest.raises(DataError, match="not finite"):
        first(tree)


def test_unknown_split_and_scene(tree):
    with pytest.raises(DataError, match=r"no split 'tarin'; it has 1 \(val\)"):
        DdadDataset(tree, split="tarin")
    with pytest.raises(DataError, match="no scene 'x'"):
        DdadDataset(tree).sequence("x")
    with pytest.raises(DataError, match="not a folder"):
        DdadDataset(tree / "absent")
