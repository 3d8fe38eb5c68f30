from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.evaluation.baseline import per_pixel_mean_m, per_pixel_median_m

NAN = np.nan
Baseline = Callable[[list[np.ndarray]], np.ndarray]


def test_mean_over_frames_then_row_then_camera() -> None:
    first = np.array([[[2.0, NAN], [NAN, NAN]], [[8.0, 8.0], [4.0, 4.0]]], np.float32)
    second = np.array([[[4.0, 9.0], [NAN, NAN]], [[NAN, 4.0], [4.0, 4.0]]], np.float32)
    # Camera 0: pixel means 3 and 9; its lower row saw nothing and takes the camera mean (2 + 4 + 9) / 3 = 5.
    expected = np.array([[[3.0, 9.0], [5.0, 5.0]], [[8.0, 6.0], [4.0, 4.0]]], np.float32)
    np.testing.assert_allclose(per_pixel_mean_m([first, second]), expected)


def test_hole_takes_its_row() -> None:
    truth = np.array([[[2.0, NAN, 4.0], [50.0, 50.0, 50.0]]], np.float32)
    assert per_pixel_mean_m([truth])[0, 0, 1] == pytest.approx(3.0)


@pytest.mark.parametrize("baseline", [per_pixel_mean_m, per_pixel_median_m])
def test_no_frame_is_refused(baseline: Baseline) -> None:
    with pytest.raises(DataError, match="at least one training frame"):
        baseline([])


@pytest.mark.parametrize("baseline", [per_pixel_mean_m, per_pixel_median_m])
def test_blind_camera_is_refused(baseline: Baseline) -> None:
    with pytest.raises(DataError, match=r"cameras \[1\]"):
        baseline([np.array([[[1.0]], [[NAN]]], np.float32)])


def test_truth_that_no_score_counts_does_not_pull_the_mean() -> None:
    near, hill = np.full((1, 1, 2), 10.0, np.float32), np.full((1, 1, 2), 900.0, np.float32)
    np.testing.assert_array_equal(per_pixel_mean_m([near, hill]), near)


def test_median_is_numpys_within_a_bin() -> None:
    maps = np.random.default_rng(0).uniform(2.0, 70.0, (41, 2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(per_pixel_median_m(maps), np.median(maps, axis=0), rtol=0.04)


def test_median_ignores_a_far_tail_and_fills_holes_from_row_then_camera() -> None:
    near = np.array([[[4.0, NAN], [NAN, NAN]]], np.float32)
    far = np.array([[[60.0, NAN], [NAN, NAN]]], np.float32)
    np.testing.assert_allclose(per_pixel_median_m([near, near, far]), np.full((1, 2, 2), 4.0), rtol=0.04)
