from __future__ import annotations

import numpy as np

from surround_depth.evaluation.pictures import color_error, draw_comparison
from surround_depth.frame import SurroundDepth
from surround_depth.rig import Camera, Rig


def test_error_colours_have_a_sign_and_a_limit() -> None:
    truth_m = np.array([[10.0, 10.0, 10.0, 10.0]], np.float32)
    depth_m = np.array([[10.0, 13.0, 7.0, 40.0]], np.float32)
    exact, too_far, too_near, far_off = color_error(depth_m, truth_m)[0].tolist()
    assert exact == [255, 255, 255]
    assert too_far == [200, 30, 40] == far_off
    assert too_near == [30, 80, 220]


def test_unknown_error_is_striped_grey() -> None:
    nan = np.full((16, 16), np.nan, np.float32)
    picture = color_error(np.ones((16, 16), np.float32), nan)
    assert picture.max() < 80
    assert len(np.unique(picture)) > 1


def surround_depth(n: int = 2) -> SurroundDepth:
    K = np.array([[30.0, 0, 31.5], [0, 30, 15.5], [0, 0, 1]])
    shape = (n, 32, 64)
    return SurroundDepth(
        frame_id="f",
        rig=Rig("r", tuple(Camera(f"C{i}", 32, 64, K, np.eye(4)) for i in range(n))),
        depth_m=np.full(shape, 10.0, np.float32),
        valid=np.ones(shape, bool),
        sky=np.zeros(shape, bool),
        confidence=np.ones(shape, np.float32),
        images=np.full((*shape, 3), 128, np.uint8),
        stamps_ns=np.arange(1, n + 1),
        T_world_ego=None,
        camera_valid=np.ones(n, bool),
    )


def test_comparison_has_a_row_for_each_thing_and_a_column_for_each_camera() -> None:
    depth = surround_depth()
    truth_m = np.full(depth.depth_m.shape, 10.0, np.float32)
    picture = draw_comparison(depth, truth_m, (0, 1), others={"untrained": depth}, cell_width_px=64)
    assert picture.shape == (5 * 36, 2 * 68, 3)
    error_row = picture[4 * 36 + 24 : 4 * 36 + 32, 0:64]
    assert (error_row == 255).all()


def test_sparse_truth_is_drawn_as_dots() -> None:
    depth = surround_depth(1)
    truth_m = np.full(depth.depth_m.shape, np.nan, np.float32)
    truth_m[0, 26, 30] = 10.0
    picture = draw_comparison(depth, truth_m, (0,), cell_width_px=64)
    assert (picture[3 * 36 + 25 : 3 * 36 + 28, 29:32] == 255).all()
