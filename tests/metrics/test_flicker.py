"""Flicker on a world that stands still, is wrong by a known factor, or moves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from box_world import BoxWorld, make_camera

from surround_depth.geometry import Array, invert_rigid, rigid
from surround_depth.metrics.flicker import StaticPoints, flicker, static_points

CAMERA, STILL = make_camera("F", 0.0), BoxWorld()
FORWARD = rigid(np.eye(3), [1.0, 0.2, 0.0])


def truths(second: BoxWorld = STILL) -> tuple[Array, Array, Array]:
    """True depth at both moments and T_second_first of the camera, which drives a metre forward."""
    T_second_first = invert_rigid(FORWARD @ CAMERA.T_ego_cam) @ CAMERA.T_ego_cam
    return STILL.depth_m(CAMERA, np.eye(4)), second.depth_m(CAMERA, FORWARD), T_second_first


def points(second: BoxWorld = STILL) -> StaticPoints:
    first_m, second_m, T_second_first = truths(second)
    row, column = np.nonzero(np.isfinite(first_m))
    uv = np.stack([column, row], axis=-1)
    return static_points(uv, first_m[row, column], second_m, CAMERA, T_second_first, window_px=0)


def test_exact_depth_and_a_constant_error_do_not_flicker():
    first_m, second_m, _ = truths()
    for scale in (1.0, 2.0):
        values = flicker(points(), scale * first_m, scale * second_m).values
        assert values["flicker_median"] == pytest.approx(0.0, abs=1e-9)
        assert values["flicker_mean"] < 1e-3  # at edges the nearest pixel is not the point


def test_a_scale_that_jumps_is_its_logarithm():
    first_m, second_m, _ = truths()
    measure = flicker(points(), first_m, 1.1 * second_m)
    assert measure.n_pixels > 5000
    assert measure.values["flicker_median"] == pytest.approx(math.log(1.1), abs=1e-6)
    assert measure.values["flicker_bias"] == pytest.approx(math.log(1.1), abs=1e-3)


def test_noise_of_one_moment_is_measured():
    first_m, _, _ = truths()
    p = points()
    same_place = StaticPoints(p.uv_first_px, p.depth_first_m, p.uv_first_px, p.depth_first_m)
    noisy_m = first_m * np.exp(np.random.default_rng(6).normal(0.0, 0.01, first_m.shape))
    values = flicker(same_place, first_m, noisy_m).values
    # Median, 90th percentile and mean of the size of a normal value.
    assert values["flicker_median"] == pytest.approx(0.6745 * 0.01, rel=0.05)
    assert values["flicker_p90"] == pytest.approx(1.6449 * 0.01, rel=0.05)
    assert values["flicker_mean"] == pytest.approx(math.sqrt(2 / math.pi) * 0.01, rel=0.05)


def test_what_moved_is_left_out():
    moved = BoxWorld(boxes=(((20, -2, 0), (24, 2, 2)), *STILL.boxes[1:]))
    first_m, _, _ = truths()
    kept = points(moved)
    v, u = (kept.uv_first_px[:, 1].astype(int), kept.uv_first_px[:, 0].astype(int))
    on_the_box = np.isclose(first_m, 11.5)  # its face, 12 m ahead of the origin, the camera half a metre ahead too
    assert on_the_box.sum() > 100
    # Its lowest row of pixels touches the road, which stays.
    assert on_the_box[v, u].sum() < 0.05 * on_the_box.sum()
    assert np.isin(np.flatnonzero(on_the_box), points().uv_first_px @ [1, on_the_box.shape[1]]).all()


def test_what_is_hidden_later_is_left_out():
    # Two walls: from a metre to the right the near one at 5 m covers more of the far one at 10 m.
    K_f = CAMERA.K[0, 0]
    uv, depth_m = np.array([[100.0, 60.0]]), np.array([10.0])
    to_the_right = rigid(np.eye(3), [-1.0, 0.0, 0.0])
    landing = 100.0 - K_f / 10.0
    for second_m, kept in ((10.0, 1), (5.0, 0), (14.0, 0), (np.nan, 0)):
        truth_m = np.full((128, 192), second_m)
        found = static_points(uv, depth_m, truth_m, CAMERA, to_the_right, window_px=0)
        assert len(found.depth_first_m) == kept
        if kept:
            np.testing.assert_allclose(found.uv_second_px, [[landing, 60.0]])


def test_sparse_truth_confirms_from_a_distance():
    truth_m = np.full((128, 192), np.nan)
    truth_m[60, 103] = 10.2
    uv, depth_m = np.array([[100.0, 60.0]]), np.array([10.0])
    count = [len(static_points(uv, depth_m, truth_m, CAMERA, np.eye(4), window_px=w)[0]) for w in (2, 3)]
    assert count == [0, 1]
    truth_m[61, 100] = 6.0
    assert len(static_points(uv, depth_m, truth_m, CAMERA, np.eye(4), window_px=3)[0]) == 0


def test_places_between_pixels_are_linear_in_inverse_depth():
    plane_m = 1.0 / (0.1 + 0.001 * np.arange(192))[None].repeat(128, axis=0)
    exact_m = 1.0 / (0.1 + 0.001 * 50.25)
    place = StaticPoints(np.array([[50.25, 3.5]]), np.array([exact_m]), np.array([[50.0, 3.0]]), np.array([1.0]))
    measure = flicker(place, plane_m, np.ones((128, 192)))
    assert measure.values["flicker_mean"] == pytest.approx(0.0, abs=1e-12)


def test_an_unknown_neighbour_and_silence():
    depth_m = np.full((128, 192), 5.0)
    depth_m[:, 51] = np.nan
    place = StaticPoints(np.array([[50.0, 3.0]]), np.array([5.0]), np.array([[50.4, 3.0]]), np.array([5.0]))
    assert flicker(place, depth_m, depth_m).values["flicker_mean"] == 0.0
    silent = flicker(place, depth_m, np.full((128, 192), np.nan))
    assert silent.n_pixels == 0
    assert all(math.isnan(value) for value in silent.values.values())
