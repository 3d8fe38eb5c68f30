"""The rig from above and LiDAR over images: to scale, in ring order, colours where the points are."""

from __future__ import annotations

import numpy as np

from surround_depth.rig import load_rig
from surround_depth.viz.colors import DepthScale
from surround_depth.viz.drawing import canvas
from surround_depth.viz.lidar_overlay import draw_overlay_mosaic, draw_points
from surround_depth.viz.rig_view import RigView, draw_rig_view


def test_the_view_is_to_scale():
    view = RigView(size_px=1000, half_side_m=5.0, center_x_m=0.0)
    ahead, left = view.pixel_of(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert ahead.tolist() == [500, 400]  # x forward is up
    assert left.tolist() == [400, 500]  # y left is left


def test_every_camera_is_drawn_where_it_sits():
    rig, view = load_rig("nuscenes"), RigView()
    picture = draw_rig_view(rig, view)
    assert picture.shape[0] == view.size_px
    without = draw_rig_view(rig.with_cameras(rig.cameras[:-1]), view)
    changed = np.abs(picture.astype(int) - without).sum(axis=2) > 0
    column, row = view.pixel_of(rig.cameras[-1].T_ego_cam[:2, 3])
    assert changed[row, column]
    # CAM_BACK_LEFT looks to the left: nothing changes on the right half of the drawing.
    assert changed[:, : view.size_px // 2].any()
    assert not changed[:, view.size_px // 2 + 40 : view.size_px].any()


def test_near_points_cover_far_ones():
    scale = DepthScale()
    depth_m = np.array([3.0, 60.0])
    picture = draw_points(canvas(40, 40, (100, 100, 100)), np.array([[20.0, 10.0], [20.0, 10.0]]), depth_m, scale, 2.0)
    np.testing.assert_array_equal(picture[10, 20], scale.colors(depth_m)[0])
    np.testing.assert_array_equal(picture[35, 35], [72, 72, 72])  # the image, darkened


def test_mosaic_has_a_cell_per_camera_and_stripes_for_a_dead_one():
    rig = load_rig("nuscenes")
    red = {name: canvas(90, 160, (200, 0, 0)) for name in rig.names[1:]}
    mosaic = draw_overlay_mosaic(rig, red, "title", DepthScale(), cell_width_px=160)
    is_red = (mosaic == (200, 0, 0)).all(axis=2)
    assert not is_red[40:130, :160].any()  # CAM_FRONT_LEFT is the first cell
    assert is_red[80, 164 + 80]
    assert is_red[94 + 80, 80]
