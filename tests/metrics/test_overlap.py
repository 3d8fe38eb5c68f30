"""Overlap on a handful of pixels worked by hand, and reprojection against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from box_world import YAWS_DEG, make_rig

from surround_depth.geometry import Lens, rigid
from surround_depth.metrics.overlap import Neighbour, overlap_mask, ring_neighbours
from surround_depth.metrics.reprojection import nearest_samples, reproject
from surround_depth.rig import Camera

# Focal length 10 px, 10x2 pixels, optical centre in the first pixel.
K = np.array([[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 1.0]])
CAMERA = Camera("a", 2, 10, K, np.eye(4))


def shifted(x_m: float) -> np.ndarray:
    """Transform into a camera that stands `x_m` to the right: u becomes u - 10 x / z."""
    return rigid(np.eye(3), [-x_m, 0.0, 0.0])


def row(depth_m: float) -> tuple[np.ndarray, np.ndarray]:
    """All ten pixels of the first row at one depth."""
    return np.stack([np.arange(10), np.zeros(10, int)], axis=1), np.full(10, depth_m)


def test_a_neighbour_to_the_right_does_not_see_the_left_columns():
    # z = 5: two pixels to the left.
    seen = overlap_mask(*row(5.0), CAMERA, [Neighbour(CAMERA, shifted(1.0))], "last_pixel")
    assert seen.tolist() == [False, False, *[True] * 8]


@pytest.mark.parametrize("rule, last", [("last_pixel", False), ("width", True)])
def test_the_last_half_pixel_is_inside_on_ddad_only(rule, last):
    # z = 20, one metre to the left: u + 0.5, so column 9 lands on 9.5.
    seen = overlap_mask(*row(20.0), CAMERA, [Neighbour(CAMERA, shifted(-1.0))], rule)
    assert seen.tolist() == [True] * 9 + [last]


def test_the_last_row_follows_the_same_rule():
    up = rigid(np.eye(3), [0.0, 1.0, 0.0])  # z = 20: v + 0.5, row 1 lands on 1.5
    uv = np.array([[3, 0], [3, 1]])
    neighbour = [Neighbour(CAMERA, up)]
    assert overlap_mask(uv, np.full(2, 20.0), CAMERA, neighbour, "last_pixel").tolist() == [True, False]
    assert overlap_mask(uv, np.full(2, 20.0), CAMERA, neighbour, "width").tolist() == [True, True]


def test_two_neighbours_are_a_union_and_none_see_nothing():
    right, left = Neighbour(CAMERA, shifted(2.0)), Neighbour(CAMERA, shifted(-2.0))
    # z = 4: five pixels to either side.
    assert overlap_mask(*row(4.0), CAMERA, [right], "width").sum() == 5
    assert overlap_mask(*row(4.0), CAMERA, [right, left], "width").all()
    assert not overlap_mask(*row(4.0), CAMERA, [], "width").any()


def test_what_lies_behind_a_neighbour_is_not_seen():
    turned = rigid(np.diag([-1.0, 1.0, -1.0]), [0.0, 0.0, 0.0])
    assert not overlap_mask(*row(5.0), CAMERA, [Neighbour(CAMERA, turned)], "width").any()


def test_missing_truth_is_seen_by_nobody():
    uv, depth_m = row(5.0)
    depth_m[4] = np.nan
    assert not overlap_mask(uv, depth_m, CAMERA, [Neighbour(CAMERA, np.eye(4))], "width")[4]


@pytest.mark.parametrize("lens", [Lens(), Lens("radtan", (-0.2, 0.05, 1e-3, -2e-3))])
def test_reprojection_agrees_with_opencv(lens):
    generator = np.random.default_rng(1)
    K_a = np.array([[100.0, 0.7, 50.0], [0.0, 110.0, 40.0], [0.0, 0.0, 1.0]])
    K_b = np.array([[90.0, 0.0, 45.0], [0.0, 95.0, 42.0], [0.0, 0.0, 1.0]])
    a, b = Camera("a", 80, 100, K_a, np.eye(4)), Camera("b", 80, 100, K_b, np.eye(4), lens)
    uv, depth_m = generator.uniform(0, 80, (50, 2)), generator.uniform(4, 30, 50)
    R = cv2.Rodrigues(np.array([0.02, -0.1, 0.05]))[0]
    T_b_a = rigid(R, [0.3, -0.2, 0.1])
    points_m = np.linalg.solve(K_a, np.c_[uv, np.ones(50)].T).T * depth_m[:, None]
    expected, _ = cv2.projectPoints(points_m, R, T_b_a[:3, 3], K_b, np.array(lens.coefficients or (0.0,) * 4))
    got = reproject(uv, depth_m, a, b, T_b_a)
    np.testing.assert_allclose(got.uv_px, expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(got.depth_m, (points_m @ R.T + T_b_a[:3, 3])[:, 2], atol=1e-12)


def test_nearest_samples_are_grid_sample():
    values = np.random.default_rng(2).uniform(1, 9, (5, 9))
    # Sizes of a power of two plus one, so that quarter pixels survive the normalised grid of torch exactly.
    u, v = (axis.ravel() for axis in np.meshgrid(np.arange(-4, 40) / 4.0, np.arange(-4, 24) / 4.0))
    grid = torch.tensor(np.stack([u / 8 * 2 - 1, v / 4 * 2 - 1], axis=-1))[None, None]
    expected = torch.nn.functional.grid_sample(
        torch.tensor(values)[None, None], grid, mode="nearest", padding_mode="zeros", align_corners=True
    )
    got, inside = nearest_samples(values, np.stack([u, v], axis=-1))
    np.testing.assert_array_equal(got, expected.numpy().ravel())
    np.testing.assert_array_equal(inside, expected.numpy().ravel() > 0)
    assert not nearest_samples(values, np.array([[np.nan, 1.0]]))[1].any()


def test_the_ring_is_closed():
    names = tuple(YAWS_DEG)  # FL F FR BR B BL: the ring itself
    assert ring_neighbours(make_rig(names)) == ((5, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 0))
    assert ring_neighbours(make_rig(("F", "B"))) == ((1,), (0,))
    assert ring_neighbours(make_rig(("F",))) == ((),)
