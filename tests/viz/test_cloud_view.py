from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import rigid
from surround_depth.viz.cloud_view import BirdView, draw_bird_view

VIEW = BirdView(size_px=200, range_m=50.0)  # two pixels a metre


def cloud(*points: tuple[float, float, float], frame: str = "ego") -> PointCloud:
    return PointCloud(np.array(points, np.float32).reshape(-1, 3), frame, 1)  # type: ignore[arg-type]


def test_forward_is_up_and_left_is_left() -> None:
    assert VIEW.pixel_of(np.array([20.0, 0.0])).tolist() == [100, 60]
    assert VIEW.pixel_of(np.array([0.0, 20.0])).tolist() == [60, 100]
    empty, seen = draw_bird_view(cloud(), VIEW), draw_bird_view(cloud((20.0, 10.0, 3.0)), VIEW)
    rows, columns = np.nonzero((empty != seen).any(axis=-1))
    assert {*zip(rows.tolist(), columns.tolist(), strict=True)} == {(60, 80), (60, 81), (61, 80), (61, 81)}


def test_what_is_higher_hides_what_is_lower() -> None:
    roof_last = draw_bird_view(cloud((20, 10, 0), (20, 10, 3)), VIEW)
    roof_first = draw_bird_view(cloud((20, 10, 3), (20, 10, 0)), VIEW)
    np.testing.assert_array_equal(roof_last, roof_first)
    np.testing.assert_array_equal(roof_last[60, 80], draw_bird_view(cloud((20, 10, 3)), VIEW)[60, 80])


def test_points_outside_are_left_out() -> None:
    outside = draw_bird_view(cloud((51, 0, 1), (-51, 0, 1), (0, 51, 1), (0, -51, 1), (500, 500, 1)), VIEW)
    np.testing.assert_array_equal(outside, draw_bird_view(cloud(), VIEW))


def test_lidar_shows_what_stands_on_the_road() -> None:
    picture = draw_bird_view(cloud(), VIEW, lidar=cloud((20, 10, 0.0), (20, -10, 1.0)))
    assert picture[60, 80].max() < 100
    assert picture[60, 120].min() > 200


def test_lidar_is_shown_at_the_clouds_time() -> None:
    later = replace(cloud(), T_world_ego=rigid(np.eye(3), [10.0, 0.0, 0.0]))
    earlier = replace(cloud((20, 10, 1.0)), T_world_ego=np.eye(4))
    picture = draw_bird_view(later, VIEW, lidar=earlier)
    assert picture[80, 80].min() > 200  # 10 m nearer: 20 pixels lower than row 60
    assert picture[60, 80].max() < 100


def test_another_frame_is_refused() -> None:
    with pytest.raises(DataError, match="ego frame, got 'world'"):
        draw_bird_view(cloud(frame="world"), VIEW)
    with pytest.raises(DataError, match="ego frame, got 'sensor'"):
        draw_bird_view(cloud(), VIEW, lidar=cloud(frame="sensor"))
