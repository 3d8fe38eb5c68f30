"""Truth by protocol where data sets differ: overlaps of a vehicle in motion, borders, what cannot be asked for."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.data.ground_truth import GroundTruth
from surround_depth.data.sample import Sample
from surround_depth.errors import ConfigError, DataError
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.geometry import rigid
from surround_depth.metrics.protocols import protocol
from surround_depth.rig import Camera, Rig
from surround_depth.window import ImageWindow

T_EGO_CAM = rigid(np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), (0.0, 0.0, 1.5))
WINDOWS = (ImageWindow.whole(4, 8, 4, 8),) * 2


def at_pixel(u: float, v: float, depth_m: float) -> tuple[float, float, float]:
    """Return the ego point that camera a sees at (u, v)."""
    return (depth_m, -(u - 3.5) / 10.0 * depth_m, 1.5 - (v - 1.5) / 10.0 * depth_m)


def sample(points: list[tuple[float, float, float]], ahead_m: float = 0.0, shift_px: float = 0.0) -> Sample:
    """Two cameras mounted alike; b fired when the vehicle was `ahead_m` further on, its centre is `shift_px` right."""
    K = np.array([[10.0, 0.0, 3.5], [0.0, 10.0, 1.5], [0.0, 0.0, 1.0]])
    shifted = K + np.array([[0.0, 0.0, shift_px], [0.0] * 3, [0.0] * 3])
    rig = Rig("two", (Camera("a", 4, 8, K, T_EGO_CAM), Camera("b", 4, 8, shifted, T_EGO_CAM)))
    poses = np.stack([np.eye(4), rigid(np.eye(3), (ahead_m, 0.0, 0.0))])
    images = (np.zeros((4, 8, 3), np.uint8),) * 2
    frame = SurroundFrame("f", rig, images, np.array([1, 2]), poses, np.ones(2, bool))
    cloud = np.array([at_pixel(*p) for p in points], np.float32).reshape(-1, 3)
    return Sample(frame, PointCloud(cloud, "ego", 1, T_world_ego=np.eye(4)))


def overlap_depths_m(dataset: str, moment: Sample) -> list[float]:
    overlaps = GroundTruth(protocol("sd"), dataset).overlaps(moment, WINDOWS)
    assert overlaps is not None
    return [round(float(z), 3) for z in overlaps[0].depth_m]


def test_ddad_overlaps_follow_the_vehicle_between_two_cameras_and_nuscenes_ones_do_not() -> None:
    """b fired 8 m further on: what stands 5 m before a is behind it by then. By static extrinsics both are seen."""
    moment = sample([(3.2, 1.2, 5.0), (5.2, 1.2, 40.0)], ahead_m=8.0)
    assert overlap_depths_m("ddad", moment) == [40.0]
    assert sorted(overlap_depths_m("nuscenes", moment)) == [5.0, 40.0]


def test_the_last_half_pixel_of_a_neighbour_is_inside_for_ddad_only() -> None:
    """a's pixel 7 lies at 7.4 in b: 7.4 < 8, but 7.4 > 7."""
    moment = sample([(7.1, 1.2, 10.0)], shift_px=0.4)
    assert overlap_depths_m("ddad", moment) == [10.0]
    assert overlap_depths_m("nuscenes", moment) == []


def test_a_point_on_the_left_border_is_no_point_of_selfocc() -> None:
    """0 < u / W, strictly: a point of u = 0 falls out, one beside it stays."""
    K = np.array([[8.0, 0.0, 4.0], [0.0, 8.0, 2.0], [0.0, 0.0, 1.0]])
    rig = Rig("one", (Camera("a", 4, 8, K, T_EGO_CAM),))
    frame = SurroundFrame("f", rig, (np.zeros((4, 8, 3), np.uint8),), np.array([1]), np.eye(4)[None], np.ones(1, bool))
    # u = 4 + 8 * (-y / x): y = 4, x = 8 gives u = 0 exactly
    cloud = PointCloud(np.array([[8.0, 4.0, 1.0], [8.0, 3.5, 1.0]], np.float32), "ego", 1, T_world_ego=np.eye(4))
    (truth,) = GroundTruth(protocol("so"), "nuscenes").truths(Sample(frame, cloud), WINDOWS[:1])
    np.testing.assert_allclose(truth.uv_px, [[0.5, 2.5]])


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigError, match="score it against lidar"):
        GroundTruth(protocol("r3:bug"), "nuscenes", "dense")
    bare = sample([])
    for kind, complaint in (("lidar", "no LiDAR sweep"), ("dense", "no dense truth")):
        without = Sample(bare.frame, None)
        with pytest.raises(DataError, match=complaint):
            GroundTruth(protocol("sd"), "nuscenes", kind).truths(without, WINDOWS)  # type: ignore[arg-type]
