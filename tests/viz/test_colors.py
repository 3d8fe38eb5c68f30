from __future__ import annotations

import numpy as np

from surround_depth.viz.colors import SKY_RGB, DepthScale, color_depth, hatch, turbo

SCALE = DepthScale(near_m=2.0, far_m=32.0)


def test_the_scale_is_logarithmic_and_fixed() -> None:
    np.testing.assert_allclose(SCALE.position(np.array([2.0, 4.0, 8.0, 16.0, 32.0])), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(SCALE.position(np.array([0.1, 900.0])), [0, 1])
    assert np.isnan(SCALE.position(np.array([np.nan]))).all()


def test_near_is_red_and_far_is_blue() -> None:
    near, far = SCALE.colors(np.array([2.0, 32.0])).astype(int)
    assert near[0] > near[2] + 100
    assert far[2] > far[0] + 100


def test_turbo_is_googles() -> None:
    # turbo_srgb_bytes[128] of the published table (Mikhailov 2019) is 164, 252, 60.
    np.testing.assert_allclose(turbo(np.array([(128 - 20) / 220]))[0], (164, 252, 60), atol=2)


def test_sky_and_no_value_are_no_depth_colours() -> None:
    depth_m = np.array([[5.0, np.nan, np.nan]], np.float32)
    valid, sky = np.array([[True, False, False]]), np.array([[False, True, False]])
    picture = color_depth(depth_m, valid, sky, SCALE)
    assert picture[0, 1].tolist() == list(SKY_RGB)
    assert picture[0, 2].tolist() == hatch(1, 3)[0, 2].tolist()
    every_depth = SCALE.colors(np.geomspace(2.0, 32.0, 500)).astype(int)
    for other in (*hatch(8, 8).reshape(-1, 3), np.array(SKY_RGB)):
        assert np.abs(every_depth - other.astype(int)).max(axis=1).min() > 60


def test_doubtful_depth_is_dim() -> None:
    depth_m, every = np.full((1, 2), 5.0, np.float32), np.ones((1, 2), np.bool_)
    picture = color_depth(depth_m, every, ~every, SCALE, trusted=np.array([[True, False]])).astype(int)
    assert picture[0, 0].max() > 200
    np.testing.assert_allclose(picture[0, 1], 0.45 * picture[0, 0], atol=1.0)
