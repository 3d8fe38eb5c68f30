"""The nuScenes reader: the published numbers on the real key frame, and what may be missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from nuscenes_edits import VERSION, edit, first
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
