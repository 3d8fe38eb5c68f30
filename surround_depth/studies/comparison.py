"""Whether a change is worth something: relative differences with intervals over held-out drives and over seeds.

A student trained again from another seed is another student, and a drive is one street of many: what is claimed of a
change must hold for other seeds and other streets, so both are draws from many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from surround_depth.errors import DataError
from surround_depth.geometry import Array
from surround_depth.metrics.bootstrap import MIN_FOR_DIFFERENCE, student_quantile

MIN_DRIVES = MIN_FOR_DIFFERENCE
"""Before a difference may be claimed."""
MIN_SEEDS = 2
LEVEL = 0.95

Verdict = Literal["better", "worse", "no difference", "not judged"]


@dataclass(frozen=True)
class Difference:
    """mean(own) / mean(other) - 1 with its interval: -0.1 means that the measure is 10 % lower."""

    estimate: float
    low: float
    high: float
    n_seeds: int
    n_drives: int

    def verdict(self, *, lower_is_better: bool = True) -> Verdict:
        """Return what may be said: nothing over too few seeds or drives, a difference where zero is excluded."""
        if self.n_seeds < MIN_SEEDS or self.n_drives < MIN_DRIVES:
            return "not judged"
        if self.low <= 0.0 <= self.high:
            return "no difference"
        return "better" if (self.high < 0.0) == lower_is_better else "worse"


def relative_difference(own: Array, other: Array) -> Difference:
    """Return the relative difference of two rows' means, with its 95 % interval.

    Seeds and drives are crossed random effects. The variance of the log of the ratio of means is the variance of the
    seeds' means over the number of seeds plus that of the drives' means over the number of drives: what is left beside
    both is counted twice, so it errs on the wide side. The interval is Student's, with the degrees of freedom of that
    sum (Satterthwaite 1946, Biometrics Bulletin 2:110), rounded down. Three seeds are few, and a bootstrap does not
    know it: where seeds decide, all three point one way in every fourth comparison of equals, and its interval excludes
    zero each time. Students of one seed met the same streets in the same order, so that what a seed and a drive do to
    both rows cancels. With one seed the interval is over drives alone, with one drive over seeds alone.

    Args:
        own: value [seeds, drives] of the row.
        other: value [seeds, drives] of the row it is compared with, the same seeds and drives in the same order.

    A drive where any value is NaN is left out of both.

    Raises:
        DataError: no drive has values in both, or a mean is not positive: nothing can be a share of it.
    """
    known = np.isfinite(own).all(axis=0) & np.isfinite(other).all(axis=0)
    own, other = own[:, known], other[:, known]
    if own.size == 0:
        raise DataError("the two rows share no seed and drive with a value; score both on the same sets")
    if own.mean() <= 0.0 or other.mean() <= 0.0:
        raise DataError("a relative difference needs means above zero; compare the values themselves")
    ratio = own.mean() / other.mean()
    # the first order of ln ratio: its mean is zero, its spread over seeds and drives that of the ratio
    parts = own / own.mean() - other / other.mean()
    reach = _half_width(_squared_error(parts.mean(axis=1)), _squared_error(parts.mean(axis=0)), *parts.shape)
    low, high = ratio * math.exp(-reach) - 1.0, ratio * math.exp(reach) - 1.0
    return Difference(float(ratio - 1.0), float(low), float(high), len(own), own.shape[1])


def mean_gain(pairs: Sequence[tuple[Array, Array]], lower_is_better: Sequence[bool]) -> Difference:
    """Return how much better a row is than another, as the mean over measures of its gains, with its 95 % interval.

    The gain in an error is `1 - mean(own) / mean(other)`, in an accuracy `mean(own) / mean(other) - 1`: 0.1 is 10 %
    better. The interval is that of `relative_difference`, of the mean of the gains' first orders: what a seed or a
    drive does to several measures is counted together.

    Args:
        pairs: per measure the values [seeds, drives] of the row and of the other, in the same order.
        lower_is_better: per measure.

    A drive where any value is NaN is left out.

    Raises:
        DataError: no drive has all values, or a mean is not positive.
    """
    known = np.logical_and.reduce([np.isfinite(value).all(axis=0) for pair in pairs for value in pair])
    gains, parts = [], []
    for (own, other), lower in zip(pairs, lower_is_better, strict=True):
        own, other = own[:, known], other[:, known]
        if own.size == 0:
            raise DataError("the two rows share no seed and drive with all values; score both on the same sets")
        if own.mean() <= 0.0 or other.mean() <= 0.0:
            raise DataError("a relative difference needs means above zero; compare the values themselves")
        ratio, sign = own.mean() / other.mean(), -1.0 if lower else 1.0
        gains.append(sign * (ratio - 1.0))
        parts.append(sign * (own - ratio * other) / other.mean())
    part, gain = np.mean(parts, axis=0), float(np.mean(gains))
    reach = _half_width(_squared_error(part.mean(axis=1)), _squared_error(part.mean(axis=0)), *part.shape)
    return Difference(gain, gain - reach, gain + reach, *part.shape)


def _squared_error(means: Array) -> float:
    """Return the squared standard error of the mean of `means`; 0 where there is one."""
    return float(means.var(ddof=1) / len(means)) if len(means) > 1 else 0.0


def _half_width(of_seeds: float, of_drives: float, n_seeds: int, n_drives: int) -> float:
    """Return half the width of the interval from the squared errors of both."""
    whole = of_seeds + of_drives
    if whole == 0.0:
        return 0.0
    # shares first: the square of a tiny error may be zero
    shares = (of_seeds / whole, n_seeds - 1), (of_drives / whole, n_drives - 1)
    degrees = 1.0 / sum(share**2 / n for share, n in shares if n > 0)
    return _student_reach(math.floor(degrees + 1e-9)) * math.sqrt(whole)


@cache
def _student_reach(degrees: int) -> float:
    return -student_quantile((1.0 - LEVEL) / 2.0, degrees)
