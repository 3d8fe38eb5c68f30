"""The nuScenes reader: the published numbers on the real key frame, and a refusal for everything that can be wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from whole_trees import write_nuscenes

from surround_depth.data.lidar_depth import T_cam_lidar_ego, project_lidar
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.errors import DataError
from surround_depth.geometry import quaternion_to_R, rigid

# reference: protocols, section 10 (z > 0.5 m, 0 <= u < W, 0 <= v < H, not rounded, float64)
POINT_COUNTS = {
    "CAM_FRONT_LEFT": 3704,
    "CAM_FRONT": 3067,
    "CAM_FRONT_RIGHT": 3079,
    "CAM_BACK_RIGHT": 3379,
    "CAM_BACK": 4826,
    "CAM_BACK_LEFT": 4097,
}
VERSION = "v1.0-mini"
LIDAR_SENSOR = "dc8b396651c05aedbb9cdaae573bb567"  # token of LIDAR_TOP


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    write_nuscenes(root, [make_drive("scene-0001", n_samples=2)], VERSION)
    return root


@pytest.fixture
def tree(pristine, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(pristine, tmp_path / "tree"))


def edit(tree: Path, table: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    path = tree / VERSION / f"{table}.json"
    rows = json.loads(path.read_text())
    changed = change(rows)
    path.write_text(json.dumps(rows if changed is None else changed))


def first(tree: Path):
    dataset = NuScenesDataset(tree)
    return dataset.sequence("scene-0001")[0]


def test_real_key_frame_has_the_published_point_counts(real_data):
    sample = NuScenesDataset(real_data / "nuscenes").sequence("scene-0061")[0]
    assert len(sample.lidar) == 34688
    poses = sample.frame.T_world_ego
    counts = {
        camera.name: len(project_lidar(sample.lidar, poses[i], camera).depth_m)
        for i, camera in enumerate(sample.frame.rig.cameras)
    }
    assert counts == POINT_COUNTS
    assert tuple(counts) == tuple(POINT_COUNTS)  # ring order


def test_real_chain_equals_the_reference(real_data):
    """mmdetection3d built its lidar2cam from the same tables by its own code."""
    reference = json.loads((real_data / "nuscenes" / "reference_calib.json").read_text())
    sample = NuScenesDataset(real_data / "nuscenes").sequence("scene-0061")[0]
    (mounting,) = [
        row
        for row in json.loads((real_data / "nuscenes" / "v1.0-test" / "calibrated_sensor.json").read_text())
        if row["sensor_token"] == LIDAR_SENSOR
    ]
    T_ego_lidar = rigid(quaternion_to_R(mounting["rotation"]), mounting["translation"])
    for i, camera in enumerate(sample.frame.rig.cameras):
        ours = T_cam_lidar_ego(sample.lidar, sample.frame.T_world_ego[i], camera) @ T_ego_lidar
        theirs = np.array(reference["cameras"][camera.name]["T_cam_lidar_egomotion_compensated"])
        np.testing.assert_allclose(ours, theirs, atol=4e-8)
        np.testing.assert_array_equal(camera.K, reference["cameras"][camera.name]["K"])


def test_real_cameras_carry_their_own_stamps(real_data):
    frame = NuScenesDataset(real_data / "nuscenes").sequence("scene-0061")[0].frame
    assert frame.frame_id == "ca9a282c9e77460f8360f564131a8af5"
    assert frame.stamps_ns[0] == 1532402927604844000
    offsets_ms = (frame.stamps_ns - frame.stamps_ns[0]) / 1e6
    np.testing.assert_allclose(offsets_ms, [camera.trigger_offset_ms for camera in frame.rig.cameras], atol=0.06)
    # The vehicle moved between the first and the last camera: one pose for all would be wrong.
    assert np.linalg.norm(frame.T_world_ego[0, :3, 3] - frame.T_world_ego[5, :3, 3]) > 0.3


def test_cameras_can_be_chosen(pristine):
    dataset = NuScenesDataset(pristine, cameras=("CAM_BACK", "CAM_FRONT"))
    assert dataset.sequence("scene-0001")[0].frame.rig.names == ("CAM_BACK", "CAM_FRONT")
    with pytest.raises(DataError, match="no image of CAM_TOP"):
        NuScenesDataset(pristine, cameras=("CAM_TOP",)).sequence("scene-0001")


def test_rig_stays_one_object_while_the_calibration_does(pristine):
    sequence = NuScenesDataset(pristine).sequence("scene-0001")
    assert sequence[0].frame.rig is sequence[1].frame.rig


def test_only_needed_tables_and_no_links(tree):
    """log, map, annotations may be absent, `prev`/`next` too; order comes from the stamps."""
    for table in ("log", "map", "instance", "sample_annotation", "category", "attribute", "visibility"):
        (tree / VERSION / f"{table}.json").unlink()
    for table in ("sample", "sample_data"):
        edit(
            tree,
            table,
            lambda rows: [{k: v for k, v in row.items() if k not in ("prev", "next")} for row in rows][::-1],
        )
    sequence = NuScenesDataset(tree).sequence("scene-0001")
    assert len(sequence) == 2
    assert sequence[0].frame.reference_stamp_ns < sequence[1].frame.reference_stamp_ns


def test_sweeps_between_key_frames_are_skipped(tree):
    def add_sweep(rows):
        extra = dict(
            rows[0], token="f" * 32, is_key_frame=False, ego_pose_token="not there", filename="sweeps/none.jpg"
        )
        rows.append(extra)

    edit(tree, "sample_data", add_sweep)
    assert first(tree).frame.camera_valid.all()


def test_missing_camera_is_invalid(tree):
    edit(tree, "sample_data", lambda rows: [row for row in rows if "CAM_BACK__" not in row["filename"] or row["prev"]])
    sequence = NuScenesDataset(tree).sequence("scene-0001")
    rig, frame = sequence[0].frame.rig, sequence[0].frame
    back = rig.index("CAM_BACK")
    assert not frame.camera_valid[back]
    assert frame.images[back] is None
    assert frame.camera_valid.sum() == 5
    assert sequence[1].frame.camera_valid.all()


def test_missing_lidar_is_none(tree):
    edit(tree, "sample_data", lambda rows: [row for row in rows if "LIDAR" not in row["filename"]])
    assert first(tree).lidar is None


def test_version_is_the_only_one_or_asked_for(tree):
    shutil.copytree(tree / VERSION, tree / "v1.0-trainval")
    with pytest.raises(DataError, match=r"version folders: v1\.0-mini, v1\.0-trainval"):
        NuScenesDataset(tree)
    assert NuScenesDataset(tree, version="v1.0-trainval").version == "v1.0-trainval"
    with pytest.raises(DataError, match=r"no version 'v1\.0-test'.*v1\.0-mini"):
        NuScenesDataset(tree, version="v1.0-test")
    with pytest.raises(DataError, match="version folders: none"):
        NuScenesDataset(tree / "samples")
    with pytest.raises(DataError, match="not a folder"):
        NuScenesDataset(tree / "absent")


def test_unknown_scene_lists_the_known(pristine):
    with pytest.raises(DataError, match="no scene 'scene-9'; it has scene-0001"):
        NuScenesDataset(pristine).sequence("scene-9")


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
