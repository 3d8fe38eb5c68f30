"""Whether a change is worth something: relative differences with intervals over held-out drives and over seeds.

A student trained again from another seed is another student, and a drive is one street of many: what is claimed of a
change must hold for other seeds and other streets, so both are drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from surround_depth.errors import DataError
from surround_depth.geometry import Array

N_RESAMPLES = 10_000
MIN_DRIVES = 5
"""Before a difference may be claimed; as `metrics.bootstrap.MIN_FOR_DIFFERENCE`."""
MIN_SEEDS = 2
LEVEL = 0.95
_SEED = 20_180_501  # any fixed one: the same scores give the same interval

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

    The crossed ("pigeonhole") bootstrap of Owen 2007 (Annals of Applied Statistics 1:386): each resample draws drives
    and seeds, the same for both rows, and takes the means over all drawn pairs; it errs on the wide side. Students of
    one seed met the same streets in the same order, so that what a seed and a drive do to both rows cancels. Of n
    drives and of n seeds n - 1 are drawn (Rao and Wu 1988, JASA 83:231): drawing n of three seeds would give two thirds
    of the variance that their mean has. One seed is drawn as it is: the interval is over drives alone.

    Args:
        own: value [seeds, drives] of the row.
        other: value [seeds, drives] of the row it is compared with, the same seeds and drives in the same order.

    A drive where any value is NaN is left out of both.

    Raises:
        DataError: no drive has values in both.
    """
    known = np.isfinite(own).all(axis=0) & np.isfinite(other).all(axis=0)
    own, other = own[:, known], other[:, known]
    if own.size == 0:
        raise DataError("the two rows share no seed and drive with a value; score both on the same sets")
    drives, seeds = _draws(own.shape[1], 0), _draws(len(own), 1)
    means = [np.einsum("rs,sd,rd->r", seeds, values, drives, optimize=True) for values in (own, other)]
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(means[0] / means[1] - 1.0, (tail, 1.0 - tail))
    estimate = float(own.mean() / other.mean() - 1.0)
    return Difference(estimate, float(low), float(high), len(own), own.shape[1])


@cache
def _draws(n: int, stream: int) -> Array:
    """Return weights [N_RESAMPLES, n] of means over n - 1 draws (one, where there is one); streams are independent."""
    n_drawn = max(n - 1, 1)
    generator = np.random.default_rng((_SEED, stream))
    return generator.multinomial(n_drawn, np.full(n, 1.0 / n), N_RESAMPLES) / n_drawn
