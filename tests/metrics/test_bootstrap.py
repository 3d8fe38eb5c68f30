"""Intervals against scipy's bootstrap and Student's t."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from surround_depth.errors import DataError
from surround_depth.metrics.bootstrap import interval, paired_difference, student_quantile
from surround_depth.metrics.records import Record


def records(values: dict[str, list[float]], camera: str = "F") -> list[Record]:
    """One record per value; the keys are sequences."""
    return [
        Record(sequence, f"f{i}", i, camera, "metric", {"abs_rel": value}, 5)
        for sequence, own in values.items()
        for i, value in enumerate(own)
    ]


def one_each(values: np.ndarray) -> list[Record]:
    return records({f"s{i:02d}": [value] for i, value in enumerate(values)})


def test_quantiles_are_scipys():
    for degrees in (2, 3, 5, 11, 60):
        for probability in (0.005, 0.025, 0.2):
            expected = scipy.stats.t.ppf(probability, degrees)
            assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("n", [6, 12, 40])
def test_interval_is_scipys_at_the_widened_percentiles(n):
    values = np.random.default_rng(n).gamma(2.0, 0.1, n)
    found = interval(one_each(values), "metric", "abs_rel")
    tail = scipy.stats.norm.cdf(math.sqrt(n / (n - 1)) * scipy.stats.t.ppf(0.025, n - 1))
    witness = scipy.stats.bootstrap(
        (values,), np.mean, confidence_level=1 - 2 * tail, method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    spread = values.std(ddof=1) / math.sqrt(n)
    assert found.estimate == pytest.approx(values.mean())
    assert (found.low, found.high) == (
        pytest.approx(witness.low, abs=0.1 * spread),
        pytest.approx(witness.high, abs=0.1 * spread),
    )
    assert (found.level, found.n_sequences) == (0.95, n)


def test_interval_of_many_normal_values_is_students():
    values = np.random.default_rng(8).normal(0.2, 0.05, 60)
    found = interval(one_each(values), "metric", "abs_rel")
    low, high = scipy.stats.t.interval(0.95, 59, values.mean(), scipy.stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low, abs=0.001), pytest.approx(high, abs=0.001))


def test_the_estimate_is_the_number_of_the_table():
    mixed = records({"a": [0.1, 0.2, 0.3], "b": [0.4], "c": [0.2, 0.6]}) + records({"a": [0.9], "c": [0.7]}, "B")
    mixed.append(Record("d", "f", 0, "F", "metric", {"abs_rel": math.nan}, 0))
    found = interval(mixed, "metric", "abs_rel")
    assert found.estimate == pytest.approx((0.3 + 0.8) / 2)  # F: six images, B: two
    assert found.n_sequences == 3
    assert found.low <= found.estimate <= found.high


def test_frames_of_one_sequence_are_no_new_evidence():
    once = interval(records({"a": [0.1], "b": [0.2], "c": [0.4]}), "metric", "abs_rel")
    often = interval(records({"a": [0.1] * 50, "b": [0.2] * 50, "c": [0.4] * 50}), "metric", "abs_rel")
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_pairing_sees_a_difference_that_two_intervals_hide():
    difficulty = np.random.default_rng(9).uniform(0.1, 0.6, 12)
    better = one_each(difficulty)
    worse = one_each(difficulty + np.random.default_rng(10).normal(0.02, 0.01, 12))
    apart = [interval(r, "metric", "abs_rel") for r in (better, worse)]
    assert apart[0].high > apart[1].low
    difference = paired_difference(worse, better, "metric", "abs_rel")
    assert difference.is_difference
    assert 0.0 < difference.low < difference.estimate < difference.high
    assert difference.estimate == pytest.approx(apart[1].estimate - apart[0].estimate)
    assert not paired_difference(better, better, "metric", "abs_rel").is_difference


def test_equal_methods_are_called_different_no_more_often_than_promised():
    generator = np.random.default_rng(11)
    called = sum(
        paired_difference(*(one_each(generator.normal(0.2, 0.05, 5)) for _ in "ab"), "metric", "abs_rel").is_difference
        for _ in range(150)
    )
    assert called / 150 < 0.12  # 0.05 is meant; a plain percentile interval gives 0.17 at five sequences


def test_few_sequences_cover_less_and_claim_nothing():
    worse, better = one_each(np.array([0.5, 0.6, 0.7, 0.8, 0.9])), one_each(np.full(5, 0.1))
    few = paired_difference(worse[:4], better[:4], "metric", "abs_rel")
    assert few.low > 0.0
    assert few.level == 0.875  # 1 - 2 / 2^4: four coins all on one side
    assert not few.is_difference
    assert interval(worse[:3], "metric", "abs_rel").level == 0.75
    assert paired_difference(worse, better, "metric", "abs_rel").is_difference


def test_units_that_one_method_lacks_are_left_out_of_both():
    own = records({"a": [0.1, 0.9], "b": [0.2], "c": [0.3], "d": [5.0]})
    other = records({"a": [0.0], "b": [0.1], "c": [0.2]})
    difference = paired_difference(own, other, "metric", "abs_rel")
    assert difference.estimate == pytest.approx(0.1)
    assert (difference.low, difference.high, difference.n_sequences) == (pytest.approx(0.1), pytest.approx(0.1), 3)


def test_the_same_records_give_the_same_interval():
    values = one_each(np.random.default_rng(12).uniform(0, 1, 7))
    assert interval(values, "metric", "abs_rel") == interval(values[::-1], "metric", "abs_rel")


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_sequences_are_refused(n):
    with pytest.raises(DataError, match=f"over {n} sequences says nothing"):
        interval(one_each(np.ones(n)), "metric", "abs_rel")
    with pytest.raises(DataError, match=f"over {n} sequences says nothing"):
        paired_difference(one_each(np.ones(n)), one_each(np.ones(5)), "metric", "abs_rel")
