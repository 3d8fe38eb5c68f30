"""The three contracts refuse what they promise to refuse."""

from dataclasses import replace

import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.frame import EncodedImage, PointCloud, SurroundDepth, SurroundFrame
from surround_depth.geometry import quaternion_to_R, rigid
from surround_depth.rig import Camera, Rig

H, W, N = 6, 8, 2


def make_rig():
    K = np.array([[8.0, 0, 3.5], [0, 8.0, 2.5], [0, 0, 1]])
    T = rigid(quaternion_to_R([0.5, -0.5, 0.5, -0.5]), [0.0, 0.0, 1.5])
    return Rig("pair", (Camera("A", H, W, K, T), Camera("B", H, W, K, T)))


def make_frame(**changes):
    fields = {
        "frame_id": "f1",
        "rig": make_rig(),
        "images": (np.zeros((H, W, 3), np.uint8), EncodedImage(b"", "b.jpg")),
        "stamps_ns": np.array([2_000, 1_000], dtype=np.int64),
        "T_world_ego": np.stack([np.eye(4)] * N),
        "camera_valid": np.array([True, True]),
    }
    return SurroundFrame(**(fields | changes))


def test_reference_stamp_is_the_latest_valid_camera():
    assert make_frame().reference_stamp_ns == 2_000
    dead = make_frame(images=(None, EncodedImage(b"", "b.jpg")), camera_valid=np.array([False, True]))
    assert dead.reference_stamp_ns == 1_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": (None,)}, "1 images for the 2 cameras"),
        ({"images": (None, None)}, "A: called valid but has no image"),
        ({"images": (np.zeros((H, W, 3), np.float32), None), "camera_valid": np.array([True, False])}, "uint8"),
        ({"images": (np.zeros((W, H, 3), np.uint8), None), "camera_valid": np.array([True, False])}, "A: expected"),
        ({"stamps_ns": np.array([1.0, 2.0])}, "stamps_ns must be int64"),
        ({"stamps_ns": np.array([0, 5], dtype=np.int64)}, "A: stamp 0"),
        ({"camera_valid": np.array([False, False])}, "no camera is valid"),
        ({"T_world_ego": np.eye(4)}, "T_world_ego must be"),
        ({"T_world_ego": np.full((N, 4, 4), np.nan)}, "not finite"),
    ],
)
def test_bad_frames_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        make_frame(**changes)


def make_depth(**changes):
    depth_m = np.full((N, H, W), 5.0, np.float32)
    depth_m[0, 0] = np.nan
    sky = np.zeros((N, H, W), bool)
    sky[0, 0] = True
    fields = {
        "frame_id": "f1",
        "rig": make_rig(),
        "depth_m": depth_m,
        "valid": np.isfinite(depth_m),
        "sky": sky,
        "confidence": np.ones((N, H, W), np.float32),
        "images": np.zeros((N, H, W, 3), np.uint8),
        "stamps_ns": np.array([1_000, 2_000], dtype=np.int64),
        "T_world_ego": None,
        "camera_valid": np.array([True, True]),
    }
    return SurroundDepth(**(fields | changes))


def test_a_lawful_depth_is_accepted():
    depth = make_depth()
    assert depth.reference_index == 1
    assert replace(depth, camera_valid=np.array([True, True])).reference_index == 1


def test_zero_never_means_missing():
    zero = np.zeros((N, H, W), np.float32)
    with pytest.raises(DataError, match="positive exactly where valid"):
        make_depth(depth_m=zero, valid=np.zeros((N, H, W), bool))
    with pytest.raises(DataError, match="positive exactly where valid"):
        make_depth(depth_m=zero, valid=np.ones((N, H, W), bool), sky=np.zeros((N, H, W), bool))


def test_infinity_stays_on_the_wire():
    infinite = make_depth().depth_m.copy()
    infinite[0, 0] = np.inf
    with pytest.raises(DataError, match="positive exactly where valid"):
        make_depth(depth_m=infinite)


def test_sky_and_dead_cameras_are_never_valid():
    with pytest.raises(DataError, match="sky pixel"):
        make_depth(sky=np.ones((N, H, W), bool))
    with pytest.raises(DataError, match="dead camera"):
        make_depth(camera_valid=np.array([False, True]))


def test_clouds_are_finite_and_consistent():
    points = np.zeros((3, 3), np.float32)
    assert len(PointCloud(points, "ego", 1)) == 3
    with pytest.raises(DataError, match="not finite"):
        PointCloud(np.full((3, 3), np.nan, np.float32), "ego", 1)
    with pytest.raises(DataError, match="rgb must be"):
        PointCloud(points, "ego", 1, rgb=np.zeros((2, 3), np.uint8))
    with pytest.raises(DataError, match="points_m must be"):
        PointCloud(points.astype(np.float64), "ego", 1)


def test_a_frame_is_one_moment():
    with pytest.raises(DataError, match="apart"):
        make_frame(stamps_ns=np.array([1, 600_000_001], dtype=np.int64))
    stuck = make_frame(stamps_ns=np.array([1, 600_000_001], dtype=np.int64), camera_valid=np.array([True, False]))
    assert stuck.reference_stamp_ns == 1


@pytest.mark.parametrize("T", [np.ones((4, 4)), np.diag([2.0, 2, 2, 1]), np.diag([-1.0, 1, 1, 1])])
def test_ego_poses_are_rigid(T):
    with pytest.raises(DataError, match="not rigid"):
        make_frame(T_world_ego=np.stack([T] * N))
    with pytest.raises(DataError, match="not rigid"):
        make_depth(T_world_ego=np.stack([T] * N))


def test_checked_arrays_cannot_change_later():
    stamps_ns = np.array([2_000, 1_000], dtype=np.int64)
    frame = make_frame(stamps_ns=stamps_ns)
    stamps_ns[0] = 7
    assert frame.stamps_ns[0] == 2_000
    with pytest.raises(ValueError, match="read-only"):
        frame.stamps_ns[0] = 7


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan])
def test_confidence_is_a_probability(value):
    with pytest.raises(DataError, match="probability"):
        make_depth(confidence=np.full((N, H, W), value, np.float32))


def test_network_cameras_have_one_size_and_clouds_a_known_frame():
    cameras = make_rig().cameras
    mixed = Rig("mixed", (cameras[0], replace(cameras[1], height_px=H + 1)))
    with pytest.raises(DataError, match="one size"):
        make_depth(rig=mixed)
    with pytest.raises(DataError, match="coordinate_frame 'lidar'"):
        PointCloud(np.zeros((3, 3), np.float32), "lidar", 1)
    with pytest.raises(DataError, match="points_m must be"):
        PointCloud([[0.0, 0.0, 0.0]], "ego", 1)
