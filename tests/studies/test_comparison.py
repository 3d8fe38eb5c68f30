"""Intervals over drives and seeds, by hand and against draws whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.studies.comparison import Difference, mean_gain, relative_difference


def test_what_all_drives_and_seeds_agree_on_is_sure() -> None:
    hard = np.array([[1.0, 5.0, 0.2, 9.0, 3.0]])  # drives differ 45-fold; both rows meet the same ones
    found = relative_difference(0.8 * hard, hard)
    np.testing.assert_allclose([found.estimate, found.low, found.high], -0.2)


def test_three_seeds_that_agree_by_chance_are_not_sure() -> None:
    # Seeds 1.0, 1.1, 1.2 times the other: ratio 1.1, parts -1/11, 0, 1/11, standard error (1/11) / sqrt(3). Student's
    # 2.5 % point with 2 degrees of freedom is 4.303 (tables); ln 1.1 = 0.0953 lies within 4.303 * 0.05249 = 0.2258.
    found = relative_difference(np.array([[1.0], [1.1], [1.2]]), np.ones((3, 1)))
    reach = np.exp(4.303 * 0.1 / 1.1 / np.sqrt(3))
    np.testing.assert_allclose(
        [found.estimate, found.low, found.high], [0.1, 1.1 / reach - 1, 1.1 * reach - 1], rtol=1e-3
    )
    assert found.low < 0 < found.high


def test_errors_of_seeds_and_of_drives_add() -> None:
    # parts of seeds -0.1, 0, 0.1 and of drives -0.2, 0, 0.2: squared errors 0.01 / 3 and 0.04 / 3. Degrees of freedom
    # 0.05^2 / (0.01^2 / 2 + 0.04^2 / 2) = 2.9, so 2.
    own = 1.0 + np.array([-0.1, 0.0, 0.1])[:, None] + np.array([-0.2, 0.0, 0.2])
    found = relative_difference(own, np.ones((3, 3)))
    reach = np.exp(4.303 * np.sqrt(0.05 / 3))
    np.testing.assert_allclose([found.low, found.high], [1 / reach - 1, reach - 1], rtol=1e-3)


@pytest.mark.parametrize("of_seed, of_drive, of_both", [(0.02, 0.0, 0.0), (0.02, 0.01, 0.02), (0.0, 0.03, 0.03)])
def test_of_twenty_comparisons_of_equals_at_most_one_claims_a_difference(
    of_seed: float, of_drive: float, of_both: float
) -> None:
    rng = np.random.default_rng(0)

    def row() -> np.ndarray:
        luck = rng.normal(0, of_seed, (3, 1)) + rng.normal(0, of_drive, (1, 12)) + rng.normal(0, of_both, (3, 12))
        return 0.15 * np.linspace(0.7, 1.3, 12) * (1.0 + luck)

    found = [relative_difference(row(), row()) for _ in range(500)]
    claimed = np.mean([not d.low <= 0.0 <= d.high for d in found])
    assert 0.005 < claimed < 0.08  # 5 % with the luck of 500 draws: 3 sigma = 3 %


def test_the_luck_of_a_seed_is_shared() -> None:
    before = np.array([[1.0, 2.0], [10.0, 20.0], [4.0, 8.0]])
    found = relative_difference(1.01 * before, before)
    np.testing.assert_allclose([found.low, found.high], 0.01)


def test_a_drive_without_a_value_is_left_out_of_both() -> None:
    found = relative_difference(np.array([[np.nan, 3.0]]), np.array([[1.0, 2.0]]))
    assert (found.estimate, found.n_drives) == (0.5, 1)
    with pytest.raises(DataError, match="share no seed and drive"):
        relative_difference(np.array([[np.nan, 3.0]]), np.array([[1.0, np.nan]]))


def test_nothing_is_a_share_of_zero() -> None:
    with pytest.raises(DataError, match="above zero"):
        relative_difference(np.array([[0.1, 0.2]]), np.zeros((1, 2)))


@pytest.mark.parametrize(
    "low, high, n_seeds, n_drives, lower, verdict",
    [
        (-0.2, -0.1, 3, 12, True, "better"),
        (-0.2, -0.1, 3, 12, False, "worse"),
        (0.1, 0.2, 3, 12, True, "worse"),
        (-0.1, 0.0, 3, 12, True, "no difference"),
        (-0.2, -0.1, 1, 12, True, "not judged"),
        (-0.2, -0.1, 3, 4, True, "not judged"),
    ],
)
def test_verdicts(low: float, high: float, n_seeds: int, n_drives: int, lower: bool, verdict: str) -> None:
    difference = Difference((low + high) / 2, low, high, n_seeds, n_drives)
    assert difference.verdict(lower_is_better=lower) == verdict


def test_the_mean_gain_by_hand() -> None:
    # an error halved is 50 % better, an accuracy of 0.5 that becomes 0.6 is 20 %: 35 % in the mean, on every drive
    error, accuracy = np.array([[1.0, 4.0, 2.0]]), np.array([[0.5, 0.5, 0.5]])
    found = mean_gain([(0.5 * error, error), (1.2 * accuracy, accuracy)], [True, False])
    np.testing.assert_allclose([found.estimate, found.low, found.high], 0.35)
    assert mean_gain([(error, 0.5 * error)], [True]).estimate == pytest.approx(-1.0)  # twice the error


def test_the_interval_of_one_gain_is_that_of_its_difference() -> None:
    rng = np.random.default_rng(5)
    own, other = rng.uniform(0.19, 0.21, (3, 12)), rng.uniform(0.19, 0.21, (3, 12))
    gain, difference = mean_gain([(own, other)], [True]), relative_difference(own, other)
    assert gain.estimate == pytest.approx(-difference.estimate)
    assert gain.high - gain.low == pytest.approx(difference.high - difference.low, rel=0.02)  # the one is of the log
    assert mean_gain([(own, other)] * 5, [True] * 5).high == pytest.approx(gain.high)  # the same measure five times


def test_a_gain_needs_values() -> None:
    nothing = np.array([[np.nan]])
    with pytest.raises(DataError, match="with all values"):
        mean_gain([(nothing, nothing)], [True])
