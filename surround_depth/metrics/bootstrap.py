"""How sure a mean is, and whether two methods differ: bootstrap intervals over sequences.

Frames of one drive resemble each other, so a thousand frames of ten drives are ten observations, not a thousand:
whole sequences are drawn, and everything in a drawn sequence counts as often as it was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from surround_depth.errors import DataError
from surround_depth.geometry import Array
from surround_depth.metrics.records import Record

MIN_SEQUENCES = 3
"""For an interval: below, drawing again says nothing."""
MIN_FOR_DIFFERENCE = 5
"""Before a difference may be claimed: three sequences all point one way by chance in every fourth comparison."""
N_RESAMPLES = 10_000
_SEED = 20_180_501  # any fixed one: the same records give the same interval


@dataclass(frozen=True)
class Interval:
    """A mean over units per camera and then over cameras, or a difference of two, with its confidence interval."""

    estimate: float
    low: float
    high: float
    level: float  # coverage: as asked for, or what so few sequences can give
    n_sequences: int

    @property
    def is_difference(self) -> bool:
        """True when the interval of a difference excludes zero over enough sequences: only then is it called one."""
        return self.n_sequences >= MIN_FOR_DIFFERENCE and (self.low > 0.0 or self.high < 0.0)


def interval(records: Iterable[Record], group: str, name: str, level: float = 0.95) -> Interval:
    """Return the interval of the mean of value `name` in `group`: that of `protocol_means` for protocols
    that skip empty units and average images first, and its spread.

    Percentile bootstrap over sequences, with the percentiles widened for few sequences (Hesterberg 2015, The American
    Statistician 69:4, "expanded percentile"): a plain one at five sequences is too narrow by a third. Units over 0
    pixels or without the value are left out. With 3, 4 or 5 sequences the whole range of the resamples covers 75, 88 or
    94 % at most, and `Interval.level` says so.

    Raises:
        DataError: fewer than `MIN_SEQUENCES` sequences have the value: no interval can be given.
    """
    sums, counts = _table(_values(records, group, name))
    means = _resampled_means(sums, counts, _weights(len(sums)))
    return _interval(_camera_mean(sums.sum(axis=0), counts.sum(axis=0)), means, level, len(sums))


def paired_difference(
    records: Iterable[Record], others: Iterable[Record], group: str, name: str, level: float = 0.95
) -> Interval:
    """Return the interval of mean(records) - mean(others), both methods on the same drawn sequences each time.

    The drives' own difficulty cancels, so this is far narrower than two separate intervals. Units that only one of the
    two has values for are left out of both.

    Raises:
        DataError: the two share fewer than `MIN_SEQUENCES` sequences.
    """
    own, other = _values(records, group, name), _values(others, group, name)
    shared = own.keys() & other.keys()
    sums, counts = _table({unit: own[unit] for unit in own if unit in shared})
    other_sums, other_counts = _table({unit: other[unit] for unit in own if unit in shared})
    weights = _weights(len(sums))
    differences = _resampled_means(sums, counts, weights) - _resampled_means(other_sums, other_counts, weights)
    means = [_camera_mean(s.sum(axis=0), n.sum(axis=0)) for s, n in ((sums, counts), (other_sums, other_counts))]
    return _interval(means[0] - means[1], differences, level, len(sums))


_Unit = tuple[str, int, str]  # sequence, index, camera


def _values(records: Iterable[Record], group: str, name: str) -> dict[_Unit, float]:
    return {
        (record.sequence, record.index, record.camera): record.values[name]
        for record in records
        if record.group == group and record.n_pixels > 0 and not math.isnan(record.values.get(name, math.nan))
    }


def _table(values: Mapping[_Unit, float]) -> tuple[Array, Array]:
    """Return sums and counts [S, C] of the units of each sequence and camera, both sorted by name."""
    sequences, cameras = (sorted({unit[i] for unit in values}) for i in (0, 2))
    if len(sequences) < MIN_SEQUENCES:
        raise DataError(
            f"an interval over {len(sequences)} sequences says nothing; score at least {MIN_SEQUENCES}"
            f" (found: {', '.join(map(str, sequences)) or 'none'})"
        )
    row = {sequence: i for i, sequence in enumerate(sequences)}
    column = {camera: i for i, camera in enumerate(cameras)}
    sums, counts = np.zeros((len(row), len(column))), np.zeros((len(row), len(column)))
    for (sequence, _, camera), value in values.items():
        sums[row[sequence], column[camera]] += value
        counts[row[sequence], column[camera]] += 1.0
    return sums, counts


def _weights(n_sequences: int) -> Array:
    """Return how often each resample [N_RESAMPLES, S] draws each sequence."""
    generator = np.random.default_rng(_SEED)
    return generator.multinomial(n_sequences, np.full(n_sequences, 1.0 / n_sequences), N_RESAMPLES).astype(np.float64)


def _resampled_means(sums: Array, counts: Array, weights: Array) -> Array:
    return _camera_mean(weights @ sums, weights @ counts)


def _camera_mean(sums: Array, counts: Array) -> Array:
    """Return the mean over cameras [...] of sums / counts [..., C]; a camera that nothing was drawn for is left out."""
    drawn = counts > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=drawn)
    return np.asarray(means.sum(axis=-1) / drawn.sum(axis=-1))


def _interval(estimate: float | Array, resampled: Array, level: float, n: int) -> Interval:
    tail = _normal_cdf(math.sqrt(n / (n - 1)) * student_quantile((1.0 - level) / 2.0, n - 1))
    low, high = np.quantile(resampled, (tail, 1.0 - tail))
    # No resample leaves the range of the sequences, which misses the truth when all lie on one side of it.
    return Interval(float(estimate), float(low), float(high), min(level, 1.0 - 2.0 ** (1 - n)), n)


def student_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t distribution for a probability in (0, 0.5), by bisection; scipy is not needed
    for this one number."""
    low, high = -1e4, 0.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _student_tail(middle, degrees) < probability else (low, middle)
    return 0.5 * (low + high)


def _student_tail(t: float, degrees: int) -> float:
    """Return P(T < t) for t <= 0: with t = sqrt(degrees) tan(angle) the density is a power of the cosine."""
    angles = np.linspace(-0.5 * math.pi, math.atan(t / math.sqrt(degrees)), 2001)
    heights = np.cos(angles) ** (degrees - 1)
    area = float(np.sum(0.5 * (heights[1:] + heights[:-1]) * np.diff(angles)))
    log_norm = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    return area * math.exp(log_norm) / math.sqrt(math.pi)


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
