"""Depth consistency on one row of four pixels, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from box_world import R_FORWARD

from surround_depth.errors import DataError
from surround_depth.geometry import rigid
from surround_depth.metrics.consistency import (
    DistancePairs,
    consistency,
    consistency_pairs,
    vehicle_distances,
    visible_pairs,
)
from surround_depth.rig import Camera, Rig

# Focal length 2 px, 4x1 pixels, optical centre in the first pixel, looking along ego x.
K = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
NAN = np.nan


def camera(name: str, right_m: float, own_body: np.ndarray | None = None) -> Camera:
    return Camera(name, 1, 4, K, rigid(R_FORWARD, [0.0, -right_m, 0.0]), own_body=own_body)


def maps(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)[:, None, :]


PAIR = Rig("pair", (camera("a", 0.0), camera("b", 1.0)))
DEPTH = maps([4, 4, 4, 4], [2, 3, 5, 7])
TRUTH = maps([4, NAN, 4, 4], [NAN, 0, NAN, NAN])


def published(rig: Rig, depth_m: np.ndarray, truth_m: np.ndarray) -> tuple[DistancePairs, ...]:
    return consistency_pairs(rig, vehicle_distances(rig, depth_m), truth_m)


def ours(rig: Rig, depth_m: np.ndarray, truth_m: np.ndarray) -> tuple[DistancePairs, ...]:
    return visible_pairs(rig, vehicle_distances(rig, depth_m), truth_m)


def test_distances_are_from_the_vehicle():
    distances_m = vehicle_distances(PAIR, DEPTH)
    # a: x = u z / 2 to the right at z = 4; b the same, a metre farther right.
    np.testing.assert_allclose(distances_m[0, 0], [4, math.hypot(4, 2), math.hypot(4, 4), math.hypot(4, 6)], rtol=1e-6)
    np.testing.assert_allclose(distances_m[1, 0, [0, 2]], [math.hypot(2, 1), math.hypot(5, 6)], rtol=1e-6)


def test_the_published_rule_by_hand():
    # True z = 4: b sees a's column u at u - 0.5, so columns 0, 2, 3 at -0.5, 1.5, 2.5: halves go to the even 0, 2, 2.
    (of_a, of_b) = published(PAIR, DEPTH, TRUTH)
    np.testing.assert_allclose(of_a.neighbour_m, [math.sqrt(5), math.sqrt(61), math.sqrt(61)], rtol=1e-6)
    np.testing.assert_allclose(of_a.own_m, [4, math.sqrt(32), math.sqrt(52)], rtol=1e-6)
    assert of_b.own_m.size == 0  # no truth (0 is none), no pairs
    measure = consistency([of_a])
    expected = np.mean([abs(math.sqrt(5) / 4 - 1), math.sqrt(61 / 32) - 1, math.sqrt(61 / 52) - 1])
    assert measure.values["abs_rel"] == pytest.approx(expected, rel=1e-6)
    assert measure.n_pixels == 3


def test_what_two_neighbours_say_is_added():
    rig = Rig("three", (*PAIR.cameras, camera("c", 1.0)))
    of_a = published(rig, maps([4, 4, 4, 4], [2, 3, 5, 7], [2, 3, 1, 7]), maps(TRUTH[0, 0], *[[NAN] * 4] * 2))[0]
    # c in column 2: z = 1, x = 1, a metre to the right.
    np.testing.assert_allclose(of_a.neighbour_m, [2 * math.sqrt(5), *[math.sqrt(61) + math.sqrt(5)] * 2], rtol=1e-6)


def test_visible_pairs_need_the_neighbours_own_truth():
    # b's truth: column 0 has none, column 2 shows a surface at 4.9 m: the same within a metre.
    truth_m = maps([4, NAN, 4, 4], [NAN, NAN, 4.9, NAN])
    of_a, of_b = ours(PAIR, DEPTH, truth_m)
    np.testing.assert_allclose(of_a.neighbour_m, [math.sqrt(61)] * 2, rtol=1e-6)
    np.testing.assert_allclose(of_a.own_m, [math.sqrt(32), math.sqrt(52)], rtol=1e-6)
    # b column 2 at z = 4.9 in a: x = 4.9 + 1, u = 2.41, which has truth 4; a metre is exceeded at 5.1.
    assert of_b.own_m.size == 1
    assert all(p.own_m.size == 0 for p in ours(PAIR, DEPTH, maps(truth_m[0, 0], [NAN, NAN, 5.1, NAN])))


@pytest.mark.parametrize("hidden_in", ["a", "b"])
def test_visible_pairs_leave_the_own_body_out(hidden_in):
    body = np.array([[False, False, True, False]])
    rig = Rig("pair", tuple(camera(n, x, body if n == hidden_in else None) for n, x in (("a", 0.0), ("b", 1.0))))
    of_a, _ = ours(rig, DEPTH, maps([4, NAN, 4, 4], [NAN, NAN, 4, NAN]))
    assert of_a.own_m.size == (1 if hidden_in == "a" else 0)


def test_each_neighbour_counts_by_itself():
    rig = Rig("three", (*PAIR.cameras, camera("c", 1.0)))
    truth_m = maps([NAN, NAN, 4, NAN], [NAN, NAN, 4, NAN], [NAN, NAN, 4, NAN])
    of_a = ours(rig, maps([4, 4, 4, 4], [2, 3, 5, 7], [2, 3, 1, 7]), truth_m)[0]
    np.testing.assert_allclose(np.sort(of_a.neighbour_m), [math.sqrt(5), math.sqrt(61)], rtol=1e-6)


def test_pooling_and_silence():
    one, two = (
        DistancePairs(np.array([11.0]), np.array([10.0])),
        DistancePairs(np.array([12.0, NAN]), np.array([10.0, 1])),
    )
    measure = consistency([one, two])
    assert measure.values["abs_rel"] == pytest.approx(0.15)
    assert measure.n_pixels == 2
    assert consistency([]).n_pixels == 0
    assert math.isnan(consistency([])[0]["abs_rel"])


def test_a_common_scale_cancels_where_cameras_share_a_centre():
    rig = Rig("pair", (camera("a", 0.0), camera("b", 0.0)))
    truth_m = maps([4, 5, 6, 7], [4, 5, 6, 7])
    wrong = maps([3, 5, 5, 6], [4, 4, 8, 7])
    once, twice = (consistency([ours(rig, d, truth_m)[0]]) for d in (wrong, 2 * wrong))
    assert once.values["abs_rel"] > 0.1
    assert twice.values["abs_rel"] == pytest.approx(once.values["abs_rel"])
    assert twice.values["rmse"] == pytest.approx(2 * once.values["rmse"])
    assert consistency(ours(rig, truth_m, truth_m)).values["abs_rel"] == 0.0


def test_maps_of_another_size_are_refused():
    with pytest.raises(DataError, match=r"\[N, H, W\] of the 2 cameras"):
        published(PAIR, maps([1, 2, 3, 4]), TRUTH)
