"""LiDAR into images: by hand, with ego motion, borders, and the nearest point."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.data.lidar_depth import lidar_depth_map, lidar_depth_maps, project_lidar
from surround_depth.data.sample import Sample
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.geometry import rigid
from surround_depth.rig import Camera, Rig

# A camera 1.5 m above the ego origin that looks forward: camera x = -ego y, y = -ego z, z = ego x.
T_EGO_CAM = rigid(np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), (0.0, 0.0, 1.5))
K = np.array([[10.0, 0.0, 9.5], [0.0, 10.0, 4.5], [0.0, 0.0, 1.0]])


def camera(name: str = "front") -> Camera:
    return Camera(name, 10, 20, K, T_EGO_CAM)


def cloud(points_ego_m, T_world_ego=None, coordinate_frame="ego") -> PointCloud:
    return PointCloud(np.array(points_ego_m, np.float32), coordinate_frame, 1, T_world_ego=T_world_ego)


def at_pixel(u: float, v: float, depth_m: float) -> tuple[float, float, float]:
    """Return the ego point that this camera sees at a pixel, worked by hand from the axes above."""
    return (depth_m, -(u - 9.5) / 10.0 * depth_m, 1.5 - (v - 4.5) / 10.0 * depth_m)


def test_by_hand():
    uv_px, depth_m, index = project_lidar(cloud([(-3.0, 0.0, 1.5), at_pixel(12.0, 3.0, 8.0)]), None, camera())
    np.testing.assert_allclose(uv_px, [[12.0, 3.0]], atol=1e-6)
    np.testing.assert_allclose(depth_m, [8.0])
    assert index.tolist() == [1]


def test_each_camera_sees_from_where_it_was():
    """The sweep saw a wall 10 m ahead; the camera fired 1 m further on, so for it the wall is 9 m away."""
    T_world_lidar, T_world_cam = rigid(np.eye(3), (100.0, 50.0, 0.0)), rigid(np.eye(3), (101.0, 50.0, 0.0))
    wall = cloud([at_pixel(9.5, 4.5, 10.0)], T_world_lidar)
    assert project_lidar(wall, T_world_cam, camera()).depth_m.tolist() == [9.0]
    assert project_lidar(wall, None, camera()).depth_m.tolist() == [10.0]


def test_bounds_are_those_of_the_protocol():
    """0 <= u < W and 0 <= v < H on unrounded pixels, z > 0.5 m."""
    kept = [(0.01, 5.0, 2.0), (19.99, 5.0, 2.0), (5.0, 9.99, 2.0), (5.0, 5.0, 0.51)]
    lost = [(-0.01, 5.0, 2.0), (20.01, 5.0, 2.0), (5.0, 10.01, 2.0), (5.0, 5.0, 0.49)]
    points = [at_pixel(*pixel) for pixel in kept + lost]
    assert project_lidar(cloud(points), None, camera()).point_index.tolist() == [0, 1, 2, 3]


def test_map_takes_the_pixel_whose_centre_is_nearest_and_the_nearest_point():
    """Pixel (0, 0) spans [-0.5, 0.5): -0.4 belongs to it, 19.6 belongs to no pixel."""
    points = [at_pixel(3.4, 2.0, 9.0), at_pixel(2.6, 2.0, 7.0), at_pixel(3.0, 2.4, 8.0)]
    points += [at_pixel(-0.4, 0.0, 5.0), at_pixel(19.6, 0.0, 5.0)]
    map_m = lidar_depth_map(cloud(points), None, camera())
    expected_m = np.full((10, 20), np.nan, np.float32)
    expected_m[2, 3], expected_m[0, 0] = 7.0, 5.0
    np.testing.assert_allclose(map_m, expected_m, rtol=1e-6)


def test_maps_of_a_frame():
    rig = Rig("two", (camera("a"), camera("b")))
    image = np.zeros((10, 20, 3), np.uint8)
    frame = SurroundFrame("f", rig, (image, None), np.array([1, 0]), np.stack([np.eye(4)] * 2), np.array([True, False]))
    seen = cloud([at_pixel(3.0, 2.0, 7.0)], np.eye(4))
    maps_m = lidar_depth_maps(Sample(frame, seen), rig)
    assert maps_m.shape == (2, 10, 20)
    assert maps_m.dtype == np.float32
    assert maps_m[0, 2, 3] == 7.0
    assert np.isnan(maps_m[1]).all()  # no image, no pose
    assert np.isnan(lidar_depth_maps(Sample(frame, None), rig)).all()
    with pytest.raises(DataError, match="has cameras"):
        lidar_depth_maps(Sample(frame, seen), rig.select(("b", "a")))
    mixed = rig.with_cameras((camera("a"), Camera("b", 12, 20, K, T_EGO_CAM)))
    with pytest.raises(DataError, match="mixes image sizes"):
        lidar_depth_maps(Sample(frame, seen), mixed)


def test_cloud_must_be_in_ego():
    with pytest.raises(DataError, match="expected ego coordinates, got world"):
        project_lidar(cloud([(1.0, 0.0, 0.0)], coordinate_frame="world"), None, camera())
