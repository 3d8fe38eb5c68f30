"""Depth edges on pictures of a few lines, distances against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from box_world import BoxWorld, make_camera
from scipy.ndimage import distance_transform_edt

from surround_depth.metrics.edges import NEAR_PX, REACH_PX, depth_edges, edge_measure

FARTHEST_M = 80.0


def wall(column: int, width: int = 40, near_m: float = 10.0, far_m: float = 20.0) -> np.ndarray:
    """A near wall up to `column`, a far one from there, 20 rows."""
    return np.where(np.arange(width) < column, near_m, far_m)[None].repeat(20, axis=0)


def edge_columns(depth_m: np.ndarray) -> list[int]:
    edges = depth_edges(depth_m, FARTHEST_M)
    assert (edges == edges[:1]).all()
    return np.flatnonzero(edges[0]).tolist()


def test_the_nearer_side_is_marked_in_rows_and_columns():
    assert edge_columns(wall(15)) == [14]
    assert edge_columns(wall(15)[:, ::-1]) == [25]
    assert np.flatnonzero(depth_edges(wall(15).T, FARTHEST_M)[:, 0]).tolist() == [14]


def test_a_pole_has_two_sides():
    depth_m = np.full((20, 40), 30.0)
    depth_m[:, 18:21] = 8.0
    assert edge_columns(depth_m) == [18, 20]


def test_a_road_to_the_horizon_has_no_edges():
    rows_below_horizon = np.arange(1, 200)
    road_m = (500.0 * 1.5 / rows_below_horizon)[:, None].repeat(30, axis=1)  # 375 m in the next row after 750 m
    assert not depth_edges(road_m, FARTHEST_M).any()
    assert not depth_edges(road_m, 2000.0).any()


def test_sky_is_a_far_side_and_unknown_is_none():
    assert edge_columns(wall(15, far_m=np.inf)) == [14]
    assert edge_columns(wall(15, far_m=np.nan)) == []
    assert edge_columns(wall(15, near_m=100.0, far_m=np.inf)) == []  # both beyond the farthest


def test_a_ramp_of_three_pixels_is_an_edge_and_a_slope_is_not():
    ramp = 1.0 / np.interp(np.arange(40), [14, 17], [1 / 10, 1 / 20])[None].repeat(20, axis=0)
    assert len(edge_columns(ramp)) == 1
    slope = 1.0 / np.interp(np.arange(40), [5, 35], [1 / 10, 1 / 20])[None].repeat(20, axis=0)
    assert edge_columns(slope) == []


def test_a_small_step_is_texture():
    assert edge_columns(wall(15, far_m=11.4)) == []
    assert edge_columns(wall(15, far_m=11.6)) == [14]


def test_shifted_edges_measure_their_shift():
    measure = edge_measure(wall(18), wall(15), FARTHEST_M)
    assert measure.n_pixels == 20
    assert measure.values["edge_accuracy_px"] == pytest.approx(3.0)
    assert measure.values["edge_completeness_px"] == pytest.approx(3.0)
    # Columns 11 to 17 are near the edge at 14; 15, 16 and 17 are answered 10 for 20.
    assert measure.values["abs_rel_near_edges"] == pytest.approx(3 / 7 * 0.5)
    assert measure.values["abs_rel_elsewhere"] == 0.0


def test_a_perfect_and_a_scaled_prediction_have_perfect_edges():
    perfect = edge_measure(wall(15), wall(15), FARTHEST_M).values
    assert list(perfect.values()) == [0.0, 0.0, 0.0, 0.0]
    scaled = edge_measure(2 * wall(15), wall(15), FARTHEST_M).values
    assert list(scaled.values()) == [0.0, 0.0, pytest.approx(1.0), pytest.approx(1.0)]


@pytest.mark.parametrize("silent", [np.full((20, 40), 12.0), np.full((20, 40), np.nan), wall(30)])
def test_no_edge_in_reach_is_the_worst_distance(silent):
    values = edge_measure(silent, wall(15), FARTHEST_M).values
    assert (values["edge_accuracy_px"], values["edge_completeness_px"]) == (REACH_PX, REACH_PX)


def test_without_true_edges_there_is_nothing_to_measure():
    measure = edge_measure(wall(15), np.full((20, 40), 10.0), FARTHEST_M)
    assert measure.n_pixels == 0
    assert math.isnan(measure.values["edge_accuracy_px"])
    assert math.isnan(measure.values["abs_rel_near_edges"])
    assert measure.values["abs_rel_elsewhere"] == pytest.approx(25 / 40)


def test_masked_pixels_count_nowhere():
    mask = np.arange(20)[:, None].repeat(40, axis=1) < 5
    measure = edge_measure(wall(18), wall(15), FARTHEST_M, mask)
    assert measure.n_pixels == 5
    assert edge_measure(wall(18), wall(15), FARTHEST_M, ~mask & mask).n_pixels == 0


def test_distances_are_scipys():
    truth_m = BoxWorld().depth_m(make_camera("F", 0.0), np.eye(4))
    truth_m = np.where(np.isnan(truth_m), np.inf, truth_m)
    depth_m = np.roll(truth_m, (2, 5), axis=(0, 1))
    true_edges, edges = depth_edges(truth_m, FARTHEST_M), depth_edges(depth_m, FARTHEST_M)
    from_true_px, from_predicted_px = distance_transform_edt(~true_edges), distance_transform_edt(~edges)
    measure = edge_measure(depth_m, truth_m, FARTHEST_M)
    assert measure.n_pixels == true_edges.sum() > 100
    in_reach = edges & (from_true_px < REACH_PX)
    assert measure.values["edge_accuracy_px"] == pytest.approx(from_true_px[in_reach].mean(), rel=1e-5)
    capped_px = np.minimum(from_predicted_px[true_edges], REACH_PX)
    assert measure.values["edge_completeness_px"] == pytest.approx(capped_px.mean(), rel=1e-5)
    near = from_true_px <= NEAR_PX
    d, g = np.minimum(depth_m, FARTHEST_M), np.minimum(truth_m, FARTHEST_M)
    assert measure.values["abs_rel_near_edges"] == pytest.approx((abs(d - g) / g)[near].mean())
