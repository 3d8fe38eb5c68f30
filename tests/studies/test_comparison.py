"""Intervals over drives and seeds, against distributions written out by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.studies.comparison import Difference, relative_difference


def test_what_all_drives_and_seeds_agree_on_is_sure() -> None:
    hard = np.array([[1.0, 5.0, 0.2, 9.0, 3.0]])  # drives differ 45-fold; both rows meet the same ones
    found = relative_difference(0.8 * hard, hard)
    np.testing.assert_allclose([found.estimate, found.low, found.high], -0.2)


def test_seeds_are_drawn_one_less_than_there_are() -> None:
    # Seeds 1, 2, 2, 2 against 2: of three drawn, P(three ones) = 1/64, P(two or more) = 10/64. The 2.5 % point is two
    # ones: (1 + 1 + 2) / 3 / 2 - 1 = -1/3. Of four drawn it would be three ones: (1 + 1 + 1 + 2) / 4 / 2 - 1 = -3/8.
    found = relative_difference(np.array([[1.0], [2.0], [2.0], [2.0]]), np.full((4, 1), 2.0))
    np.testing.assert_allclose([found.estimate, found.low, found.high], [-0.125, -1 / 3, 0.0])


def test_drives_and_seeds_are_crossed() -> None:
    own = np.array([[1.0, 2.0, 4.0], [3.0, 1.5, 5.0], [2.0, 2.5, 9.0]])
    pairs = list(product(range(3), repeat=2))
    every = [np.mean([own[s, d] for s in seeds for d in drives]) for seeds in pairs for drives in pairs]
    expected = np.quantile(np.array(every) / 2.0 - 1.0, (0.025, 0.975), method="inverted_cdf")
    found = relative_difference(own, np.full((3, 3), 2.0))
    np.testing.assert_allclose([found.low, found.high], expected, atol=1e-12)


def test_the_luck_of_a_seed_is_shared() -> None:
    before = np.array([[1.0, 2.0], [10.0, 20.0], [4.0, 8.0]])
    found = relative_difference(1.01 * before, before)
    np.testing.assert_allclose([found.low, found.high], 0.01)


def test_a_drive_without_a_value_is_left_out_of_both() -> None:
    found = relative_difference(np.array([[np.nan, 3.0]]), np.array([[1.0, 2.0]]))
    assert (found.estimate, found.n_drives) == (0.5, 1)
    with pytest.raises(DataError, match="share no seed and drive"):
        relative_difference(np.array([[np.nan, 3.0]]), np.array([[1.0, np.nan]]))


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
