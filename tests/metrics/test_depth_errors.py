"""Depth errors against numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from surround_depth.metrics.depth import NO_PIXELS, depth_errors, mean_errors


def test_hand_worked_example() -> None:
    errors = depth_errors(np.array([11.0, 18.0, 60.0]), np.array([10.0, 20.0, 40.0]))
    assert errors.abs_rel == pytest.approx(0.23333, abs=1e-5)
    assert errors.sq_rel == pytest.approx(3.43333, abs=1e-5)
    assert errors.rmse == pytest.approx(11.61895, abs=1e-5)
    assert errors.rmse_log == pytest.approx(0.24805, abs=1e-5)
    assert (errors.a1, errors.a2, errors.a3) == (pytest.approx(2 / 3), 1.0, 1.0)
    # e = ln 1.1, ln 0.9, ln 1.5 = 0.095310, -0.105361, 0.405465: mean 0.131805, mean square 0.061530
    assert errors.silog == pytest.approx(21.0138, abs=1e-3)
    assert errors.n_pixels == 3


def test_thresholds_are_strict() -> None:
    errors = depth_errors(np.array([1.25, 1.25**2, 1.25**3]), np.ones(3))
    assert (errors.a1, errors.a2, errors.a3) == (0.0, pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_nan_and_masked_pixels_do_not_count() -> None:
    depth_m = np.array([11.0, np.nan, 5.0, 7.0], np.float32)
    truth_m = np.array([10.0, 10.0, np.nan, 1.0], np.float32)
    errors = depth_errors(depth_m, truth_m, np.array([True, True, True, False]))
    assert errors.n_pixels == 1
    assert errors.abs_rel == pytest.approx(0.1)


def test_nothing_to_measure_is_nan() -> None:
    errors = depth_errors(np.array([1.0]), np.array([np.nan]))
    assert math.isnan(errors.abs_rel)
    assert errors.n_pixels == 0


def test_mean_counts_images_not_pixels_and_leaves_empty_ones_out() -> None:
    one = depth_errors(np.array([11.0]), np.array([10.0]))
    many = depth_errors(np.full(9, 13.0), np.full(9, 10.0))
    mean = mean_errors([one, NO_PIXELS, many])
    assert mean.abs_rel == pytest.approx(0.2)
    assert mean.n_pixels == 10
    assert mean_errors([]) is NO_PIXELS
