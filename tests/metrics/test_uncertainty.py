"""Sparsification against the published loop written out, and calibration by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from surround_depth.metrics.uncertainty import N_BINS, Reliability, reliability, sparsification, sparsification_curves


def scene(n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence, depth and truth of a method whose confidence knows something."""
    generator = np.random.default_rng(3)
    truth_m = generator.uniform(1.0, 80.0, n)
    noise = generator.gamma(2.0, 0.05, n)
    depth_m = truth_m * np.exp(noise * generator.choice([-1, 1], n))
    return np.exp(-noise - generator.gamma(1.0, 0.05, n)), depth_m, truth_m


def published(confidence: np.ndarray, error: np.ndarray, *, root: bool) -> tuple[float, float]:
    """AUSE and AURG by percentile thresholds and numpy's trapezoid, 50 intervals (Poggi et al. 2020)."""

    def curve(order: np.ndarray) -> np.ndarray:
        means = [error[order >= np.percentile(order, 2.0 * i)].mean() for i in range(50)]
        return np.array([*(np.sqrt(means) if root else means), 0.0])

    x = np.arange(51) / 50
    by_confidence, by_error = curve(confidence), curve(-error)
    area = np.trapezoid(by_confidence, x)
    return area - np.trapezoid(by_error, x), by_confidence[0] - area


@pytest.mark.parametrize("name, root", [("abs_rel", False), ("rmse", True)])
def test_areas_are_the_published_ones(name, root):
    confidence, depth_m, truth_m = scene()
    absolute_m = np.abs(depth_m - truth_m)
    error = absolute_m**2 if root else absolute_m / truth_m
    ause, aurg = published(confidence, error, root=root)
    values = sparsification(confidence, depth_m, truth_m).values
    assert values[f"ause_{name}"] == pytest.approx(ause, rel=2e-3)
    assert values[f"aurg_{name}"] == pytest.approx(aurg, rel=2e-3)
    whole = np.sqrt(error.mean()) if root else error.mean()
    assert values[f"ause_normalised_{name}"] == pytest.approx(ause / whole, rel=2e-3)
    assert aurg > 0.1 * whole


def test_a_confidence_that_sorts_by_error_leaves_no_area():
    _, depth_m, truth_m = scene()
    values = sparsification(-np.abs(depth_m - truth_m) / truth_m, depth_m, truth_m).values
    assert values["ause_abs_rel"] == pytest.approx(0.0, abs=1e-12)
    assert values["ause_rmse"] > 0.01


def test_equal_confidences_do_not_depend_on_the_order_of_pixels():
    confidence, depth_m, truth_m = scene(4000)
    coarse = np.round(confidence, 1)
    order = np.argsort(np.abs(depth_m - truth_m))
    one = sparsification(coarse, depth_m, truth_m).values
    other = sparsification(coarse[order], depth_m[order], truth_m[order]).values
    assert one == pytest.approx(other)


def test_a_constant_confidence_gains_nothing():
    _, depth_m, truth_m = scene(5000)
    curves = sparsification_curves(np.full(5000, 0.5), depth_m, truth_m)
    assert curves is not None
    flat = curves[0]["abs_rel"].by_confidence[:-1]
    np.testing.assert_allclose(flat, np.mean(np.abs(depth_m - truth_m) / truth_m))


def test_perfect_depth_has_no_areas_and_nothing_is_nan():
    truth_m = np.full((3, 4), 5.0)
    values = sparsification(np.full((3, 4), 0.3), truth_m, truth_m)
    assert set(values.values.values()) == {0.0}
    assert values.n_pixels == 12
    empty = sparsification(np.full(2, 0.3), np.full(2, np.nan), np.ones(2))
    assert empty.n_pixels == 0
    assert all(math.isnan(value) for value in empty.values.values())


def test_calibration_by_hand():
    # Within a factor of 1.25: 10.0 of 9 yes, 12.5 of 10 no (strictly), 8.1 of 10 yes, 30 of 10 no.
    depth_m, truth_m = np.array([10.0, 12.5, 8.1, 30.0]), np.array([9.0, 10.0, 10.0, 10.0])
    found = reliability(np.array([0.95, 0.91, 0.65, 1.0]), depth_m, truth_m)
    measure = found.measure()
    assert measure.n_pixels == 4
    assert measure.values["hit_rate"] == pytest.approx(0.5)
    assert measure.values["mean_confidence"] == pytest.approx(0.8775)
    assert measure.values["brier"] == pytest.approx((0.05**2 + 0.91**2 + 0.35**2 + 1.0) / 4)
    # Last bin: 0.95 + 0.91 + 1.0 = 2.86 for one hit; bin 6: 0.65 for one hit.
    assert measure.values["ece"] == pytest.approx((1.86 + 0.35) / 4)
    confidence, hits = found.curve
    assert (confidence[-1], hits[-1]) == (pytest.approx(2.86 / 3), pytest.approx(1 / 3))
    assert math.isnan(hits[0])


def test_counts_of_images_add_up():
    confidence, depth_m, truth_m = scene(1000)
    halves = [reliability(confidence[part], depth_m[part], truth_m[part]) for part in (slice(500), slice(500, None))]
    whole = reliability(confidence, depth_m, truth_m).measure()
    assert sum(halves, Reliability.none()).measure().values == pytest.approx(whole.values)
    assert math.isnan(Reliability.none().measure().values["ece"])


def test_a_true_probability_is_calibrated():
    generator = np.random.default_rng(4)
    confidence = generator.uniform(0, 1, 200_000)
    depth_m = np.where(generator.uniform(0, 1, 200_000) < confidence, 10.0, 20.0)
    values = reliability(confidence, depth_m, np.full(200_000, 10.0)).measure().values
    assert values["ece"] < 3.0 / math.sqrt(200_000 / N_BINS)
    assert values["brier"] == pytest.approx(1 / 6, abs=0.002)  # the mean of p (1 - p)
