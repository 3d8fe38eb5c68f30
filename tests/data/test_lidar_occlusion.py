"""LiDAR points behind what the camera sees."""

from __future__ import annotations

import numpy as np

from surround_depth.data.lidar_occlusion import visible, without_occluded
from surround_depth.data.lidar_raster import SparseDepth
from surround_depth.geometry import Lens, ray_grid
from surround_depth.rig import Camera, Rig

H, W, FOCAL_PX = 96, 160, 200.0
K = np.array([[FOCAL_PX, 0, 79.5], [0, FOCAL_PX, 47.5], [0, 0, 1]])
RIG = Rig("one", (Camera("FRONT", H, W, K, np.eye(4)),))


def test_a_point_behind_its_neighbour_goes_and_the_neighbour_stays() -> None:
    lidar_m = np.full((1, H, W), np.nan, np.float32)
    lidar_m[0, 50, 40], lidar_m[0, 52, 42] = 4.0, 30.0  # on the car; seen over the car
    lidar_m[0, 50, 60] = 30.0  # beside the car, 20 columns (5.7 degrees) away
    lidar_m[0, 52, 43] = 5.9  # less than half as far again: the same object
    kept = without_occluded(lidar_m, RIG)
    assert np.isnan(kept[0, 52, 42])
    assert (kept[0, 50, 40], kept[0, 50, 60]) == (4.0, 30.0)
    assert kept[0, 52, 43] == np.float32(5.9)
    assert lidar_m[0, 52, 42] == 30.0  # the given map is untouched


def test_open_road_is_kept() -> None:
    rays = ray_grid(H, W, K, Lens())
    down = np.maximum(rays[..., 1], 1e-9)
    road_m = (1.5 / down * rays[..., 2]).astype(np.float32)
    road_m[down < np.sin(np.radians(2.0))] = np.nan  # nearer the horizon than 2 degrees
    kept = without_occluded(road_m[None], RIG)
    assert np.isfinite(kept).sum() > 0.95 * np.isfinite(road_m).sum()


def test_nothing_in_nothing_out() -> None:
    assert np.isnan(without_occluded(np.full((1, H, W), np.nan, np.float32), RIG)).all()


def test_the_sparse_form_keeps_the_same_pixels() -> None:
    rng = np.random.default_rng(4)
    lidar_m = np.where(rng.random((1, H, W)) < 0.05, rng.uniform(2, 60, (1, H, W)), np.nan).astype(np.float32)
    row, column = np.nonzero(np.isfinite(lidar_m[0]))
    depth = SparseDepth(row, column, lidar_m[0, row, column], np.arange(len(row)))
    kept_m = visible(depth, RIG.cameras[0]).dense(H, W)
    np.testing.assert_array_equal(kept_m, without_occluded(lidar_m, RIG)[0])
    assert 0.1 < np.isfinite(kept_m).sum() / len(row) < 0.9
