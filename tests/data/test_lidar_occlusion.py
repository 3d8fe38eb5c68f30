"""LiDAR points behind what the camera sees."""

from __future__ import annotations

import numpy as np
from box_world import BoxWorld, make_rig

from surround_depth.data.lidar_occlusion import occluded, visible
from surround_depth.data.lidar_raster import SparseDepth, rasterise_sparse
from surround_depth.geometry import Lens, ray_grid
from surround_depth.metrics.protocols import STRICT
from surround_depth.rig import Camera

H, W, FOCAL_PX = 96, 160, 200.0
K = np.array([[FOCAL_PX, 0, 79.5], [0, FOCAL_PX, 47.5], [0, 0, 1]])
CAMERA = Camera("FRONT", H, W, K, np.eye(4))


def kept_of(lidar_m: np.ndarray) -> np.ndarray:
    """Return a map [H, W] without what the camera cannot see."""
    row, column = np.nonzero(np.isfinite(lidar_m))
    return visible(SparseDepth(row, column, lidar_m[row, column], np.arange(len(row))), CAMERA).dense(H, W)


def test_a_point_behind_its_neighbour_goes_and_the_neighbour_stays() -> None:
    """Two rows are 0.01 rad: the line from 4 m to 30 m would pass the camera at 4 * 30 * 0.01 / 26 = 5 cm."""
    lidar_m = np.full((H, W), np.nan, np.float32)
    lidar_m[50, 40], lidar_m[52, 41] = 4.0, 30.0  # on the car; seen over the car
    lidar_m[50, 60] = 30.0  # beside the car, 20 columns (5.7 degrees) away
    lidar_m[49, 40] = 4.3  # 7 percent farther: the same object
    kept_m = kept_of(lidar_m)
    assert np.isnan(kept_m[52, 41])
    assert (kept_m[50, 40], kept_m[50, 60]) == (4.0, 30.0)
    assert kept_m[49, 40] == np.float32(4.3)


def test_open_road_and_a_wall_beside_the_car_are_kept() -> None:
    """Neighbouring rows of road differ by a factor of 3 near the horizon; its plane passes 1.5 m below the camera."""
    rays = ray_grid(H, W, K, Lens())
    for axis, distance_m in ((1, 1.5), (0, 0.6)):
        towards = rays[..., axis]
        plane_m = np.full((H, W), np.nan, np.float32)
        plane_m[towards > 0] = (distance_m * rays[..., 2] / towards)[towards > 0]
        assert plane_m[np.isfinite(plane_m)].max() > 200.0
        np.testing.assert_array_equal(kept_of(plane_m), plane_m)


def test_nothing_in_nothing_out() -> None:
    assert np.isnan(kept_of(np.full((H, W), np.nan, np.float32))).all()


def test_it_equals_the_rule_written_out() -> None:
    """Every pair of points, without windows of rows or early ends."""
    rng = np.random.default_rng(5)
    lidar_m = np.where(rng.random((H, W)) < 0.05, rng.uniform(2, 40, (H, W)), np.nan).astype(np.float32)
    row, column = np.nonzero(np.isfinite(lidar_m))
    z = lidar_m[row, column].astype(np.float64)
    points_m = np.stack([(column - 79.5) / FOCAL_PX * z, (row - 47.5) / FOCAL_PX * z, z], axis=1)
    range_m = np.linalg.norm(points_m, axis=1)
    hidden = np.zeros(len(row), bool)
    for i in range(len(row)):
        near = (abs(row - row[i]) <= 3) & (abs(column - column[i]) <= 1) & (1.1 * range_m < range_m[i])
        across = np.linalg.norm(np.cross(points_m[near], points_m[i]), axis=1)
        hidden[i] = (across < 0.5 * np.linalg.norm(points_m[near] - points_m[i], axis=1)).any()
    np.testing.assert_array_equal(np.isnan(kept_of(lidar_m)[row, column]), hidden)
    assert 0.1 < hidden.mean() < 0.9


def test_hidden_points_of_a_known_world_go_and_seen_ones_stay() -> None:
    """A 32-beam LiDAR on the roof, 0.7 m above cameras that look at cars and walls behind them: exact depth decides."""
    world = BoxWorld(
        boxes=(
            ((7, -1, 0), (11, 1, 1.5)),
            ((6, 3, 0), (10, 4.8, 1.5)),
            ((5, -6, 0), (9, -4.2, 1.9)),
            ((25, -30, 0), (26, 30, 9)),
            ((-40, 12, 0), (24, 13, 6)),
        )
    )
    origin_m = np.array([0.5, 0.0, 2.2])
    elevation = np.radians(np.linspace(-30.67, 10.67, 32))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, 1084, endpoint=False)[None]
    rays = np.stack(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation) + 0 * azimuth], -1
    ).reshape(-1, 3)
    range_m = world.ranges_m(origin_m, rays)
    hit = range_m < 70.0
    points_m = (origin_m + rays[hit] * range_m[hit, None]).astype(np.float32)
    right = wrong = right_lost = wrong_left = 0
    for camera in make_rig(("FL", "F", "FR"), height_px=450, width_px=800).cameras:
        T_cam_ego = np.linalg.inv(camera.T_ego_cam)
        found = rasterise_sparse(points_m, T_cam_ego, camera.K, camera.lens, 450, 800, STRICT.ddad.rasteriser)
        exact_m = world.depth_m(camera, np.eye(4))[found.row, found.column]
        is_wrong = ~(np.abs(found.depth_m - exact_m) < 0.1 * exact_m)
        hidden = occluded(found.row, found.column, found.depth_m, camera)
        right, wrong = right + (~is_wrong).sum(), wrong + is_wrong.sum()
        right_lost, wrong_left = right_lost + (hidden & ~is_wrong).sum(), wrong_left + (~hidden & is_wrong).sum()
    assert wrong > 500
    assert wrong_left < 0.1 * wrong
    assert right_lost < 0.02 * right
