"""Cloud metrics on points whose neighbours are plain to see."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest

from surround_depth.errors import MissingDependencyError
from surround_depth.metrics.cloud import SensorView, cloud_measure

TRUTH = np.array([[10.0, 0, 0], [10, 1, 0], [10, 2, 0], [10, 3, 0]])


def test_by_hand():
    # Predicted 0.1, 0.3 and 2 m off.
    points = np.array([[10.1, 0, 0], [10.3, 1, 0], [12.0, 1, 0], [np.nan, 0, 0]])
    measure = cloud_measure(points, TRUTH)
    assert measure.n_pixels == 4
    completeness = [0.1, 0.3, math.hypot(1, 0.3), math.hypot(2, 0.3)]
    values = measure.values
    assert values["accuracy_mean_m"] == pytest.approx((0.1 + 0.3 + 2.0) / 3)
    assert values["accuracy_median_m"] == pytest.approx(0.3)
    assert values["completeness_mean_m"] == pytest.approx(np.mean(completeness))
    assert values["completeness_median_m"] == pytest.approx(np.median(completeness))
    assert values["chamfer_m"] == pytest.approx(0.5 * (0.8 + np.mean(completeness)))
    assert (values["precision_0.2m"], values["recall_0.2m"]) == (pytest.approx(1 / 3), pytest.approx(1 / 4))
    assert values["f_score_0.2m"] == pytest.approx(2 / (3 + 4))
    assert (values["precision_0.5m"], values["recall_0.5m"]) == (pytest.approx(2 / 3), pytest.approx(1 / 2))
    assert values["recall_1m"] == pytest.approx(1 / 2)


def test_perfect_and_shifted_clouds():
    truth = np.random.default_rng(5).uniform(-50, 50, (500, 3)).astype(np.float32)
    perfect = cloud_measure(truth, truth).values
    assert perfect["chamfer_m"] == 0.0
    assert perfect["f_score_0.2m"] == 1.0
    wall = np.stack(np.meshgrid([10.0], np.arange(30.0), np.arange(10.0)), axis=-1).reshape(-1, 3)
    shifted = cloud_measure(wall + np.array([0.4, 0, 0]), wall).values
    assert shifted["accuracy_mean_m"] == shifted["completeness_median_m"] == pytest.approx(0.4)
    assert (shifted["f_score_0.2m"], shifted["f_score_0.5m"]) == (0.0, 1.0)


def test_a_floating_point_is_measured_and_one_between_beams_is_not():
    view = SensorView(np.zeros(3), beam_gap_deg=1.0)
    floating, between = [5.0, 0.05, 0], [10.0, 0.5, 0]  # on the first beam within 0.6 degrees; 2.9 degrees from any
    values = cloud_measure(np.array([floating, between]), TRUTH, view).values
    assert values["accuracy_mean_m"] == pytest.approx(math.hypot(5, 0.05))
    assert values["completeness_mean_m"] > 1.0  # only the floating point is left to cover the wall
    everything = cloud_measure(np.array([floating, between]), TRUTH).values
    assert everything["accuracy_mean_m"] == pytest.approx((math.hypot(5, 0.05) + 0.5) / 2)


def test_nothing_predicted_recalls_nothing():
    measure = cloud_measure(np.empty((0, 3)), TRUTH)
    assert measure.n_pixels == 4
    assert (measure.values["recall_1m"], measure.values["f_score_1m"]) == (0.0, 0.0)
    assert math.isnan(measure.values["accuracy_mean_m"])
    nothing = cloud_measure(TRUTH, np.empty((0, 3)))
    assert nothing.n_pixels == 0
    assert nothing.values.keys() == measure.values.keys() == cloud_measure(TRUTH, TRUTH).values.keys()
    assert all(math.isnan(value) for value in nothing.values.values())


def test_without_scipy_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"surround_depth\[evaluation\]"):
        cloud_measure(TRUTH, TRUTH)
