"""Damaged nuScenes trees: a refusal for everything that can be wrong, by table and row."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from nuscenes_edits import VERSION, edit, first
from whole_trees import write_nuscenes

from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.errors import DataError


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    write_nuscenes(root, [make_drive("scene-0001", n_samples=2)], VERSION)
    return root


@pytest.fixture
def tree(pristine, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(pristine, tmp_path / "tree"))


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.jpg", "samples/../../outside.jpg", "samples\\x.jpg"])
def test_paths_never_leave_the_root(tree, name):
    (tree.parent / "outside.jpg").write_bytes(b"secret")
    edit(tree, "sample_data", lambda rows: [dict(row, filename=name) for row in rows])
    with pytest.raises(DataError, match=r"sample_data.json row [0-9a-f]{32}: path .* leaves the data root"):
        first(tree)


def test_links_never_leave_the_root(tree):
    (tree.parent / "outside").mkdir()
    shutil.move(tree / "samples" / "CAM_FRONT", tree.parent / "outside" / "CAM_FRONT")
    (tree / "samples" / "CAM_FRONT").symlink_to(tree.parent / "outside" / "CAM_FRONT")
    with pytest.raises(DataError, match="link out of"):
        first(tree)


def test_a_linked_root_is_fine(tree):
    (tree.parent / "link").symlink_to(tree)
    assert first(tree.parent / "link").frame.camera_valid.all()


def test_channels_are_plain_names(tree):
    edit(tree, "sensor", lambda rows: [dict(row, channel=f"../{row['channel']}") for row in rows])
    with pytest.raises(DataError, match="not a plain name"):
        NuScenesDataset(tree)


def test_missing_file_names_row_and_file(tree):
    sorted(tree.glob("samples/CAM_BACK/*.jpg"))[0].unlink()
    with pytest.raises(DataError, match=r"sample_data.json row .*CAM_BACK.*jpg' does not exist; download"):
        first(tree)


def test_cut_sweep(tree):
    path = sorted(tree.glob("samples/LIDAR_TOP/*"))[0]
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match="8393 bytes, not a multiple of 20"):
        first(tree)


def test_sweep_with_nan(tree):
    path = sorted(tree.glob("samples/LIDAR_TOP/*"))[0]
    path.write_bytes(np.full(10, np.nan, "<f4").tobytes())
    with pytest.raises(DataError, match="not finite"):
        first(tree)


def test_cut_table(tree):
    path = tree / VERSION / "ego_pose.json"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"ego_pose.json is not valid JSON .*cut short"):
        NuScenesDataset(tree)


def test_absent_table(tree):
    (tree / VERSION / "calibrated_sensor.json").unlink()
    with pytest.raises(DataError, match=r"lacks calibrated_sensor\.json"):
        NuScenesDataset(tree)


BROKEN_ROWS = {
    "no_token": ("sample", lambda row: row.pop("token"), "sample.json row .*no field 'token'"),
    "no_key_frame": ("sample_data", lambda row: row.pop("is_key_frame"), "no field 'is_key_frame'"),
    "text_stamp": ("sample_data", lambda row: row.update(timestamp="soon"), "timestamp must be an integer, got 'soon'"),
    "text_key_frame": (
        "sample_data",
        lambda row: row.update(is_key_frame="false"),
        "is_key_frame must be true or false, got 'false'",
    ),
    "nanoseconds": (
        "sample_data",
        lambda row: row.update(timestamp=row["timestamp"] * 1000),
        "sample_data.json row .*timestamp is not between 1970 and 2200",
    ),
    "sample_nanoseconds": (
        "sample",
        lambda row: row.update(timestamp=row["timestamp"] * 1000),
        "sample.json row .*another unit of time",
    ),
    "long_name": ("sample_data", lambda row: row.update(filename="a" * 300 + ".jpg"), "cannot be looked up"),
    "dangling_pose": (
        "sample_data",
        lambda row: row.update(ego_pose_token="x"),
        "ego_pose_token 'x' is not in ego_pose",
    ),
    "dangling_scene": ("sample", lambda row: row.update(scene_token="x"), "scene_token 'x' is not in scene.json"),
    "short_pose": (
        "ego_pose",
        lambda row: row.update(translation=[1.0, 2.0]),
        "translation must be a list of 3 numbers",
    ),
    "nan_pose": ("ego_pose", lambda row: row.update(translation=[1.0, 2.0, float("nan")]), "must be finite numbers"),
    "zero_rotation": ("ego_pose", lambda row: row.update(rotation=[0.0, 0.0, 0.0, 0.0]), "ego_pose.json row .*norm"),
    "no_K": ("calibrated_sensor", lambda row: row.update(camera_intrinsic=[]), "camera_intrinsic must be a 3x3 matrix"),
    "focal_0": ("calibrated_sensor", lambda row: row.update(camera_intrinsic=[[0.0] * 3] * 3), "focal lengths"),
    "no_height": ("sample_data", lambda row: row.update(height=0), "height_px is 0"),
    "file_number": ("sample_data", lambda row: row.update(filename=7), "filename must be text"),
}


@pytest.mark.parametrize("table, change, message", BROKEN_ROWS.values(), ids=BROKEN_ROWS)
def test_broken_row(tree, table, change, message):
    # The first row of the sensor tables is CAM_FRONT_LEFT, of the others its first record.
    edit(tree, table, lambda rows: change(rows[0]) and None)
    with pytest.raises(DataError, match=message):
        first(tree)


def test_table_of_another_kind(tree):
    (tree / VERSION / "scene.json").write_text('{"token": "x"}')
    with pytest.raises(DataError, match="expected a list of rows"):
        NuScenesDataset(tree)
    (tree / VERSION / "scene.json").write_text('["x"]')
    with pytest.raises(DataError, match="expected a list of objects"):
        NuScenesDataset(tree)


def test_two_images_of_one_camera(tree):
    edit(tree, "sample_data", lambda rows: rows.append(dict(rows[0], token="f" * 32)))
    with pytest.raises(DataError, match="two key frames of CAM_FRONT_LEFT"):
        NuScenesDataset(tree)
