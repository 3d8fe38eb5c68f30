"""Whether a confidence knows: does sorting by it sort out errors, and does 80 % mean 80 %?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from surround_depth.geometry import Array
from surround_depth.metrics.measure import Measure

N_FRACTIONS = 50
N_BINS = 10
HIT_RATIO = 1.25
"""A depth is a hit where max(d/g, g/d) lies below: what the confidence is trained to predict."""
SPARSIFICATION_NAMES = tuple(
    f"{area}_{error}" for error in ("abs_rel", "rmse") for area in ("ause", "aurg", "ause_normalised")
)
RELIABILITY_NAMES = ("ece", "brier", "mean_confidence", "hit_rate")


@dataclass(frozen=True, eq=False)
class SparsificationCurve:
    """The error of what is left when a growing share of the pixels is taken away."""

    removed: Array  # [N_FRACTIONS + 1] share taken away, 0 to 1; at 1 nothing is left and the error is 0
    by_confidence: Array  # least confident first
    by_error: Array  # worst first: no order can do better

    @property
    def ause(self) -> float:
        """Area between the two curves, in the error's unit: 0 is perfect."""
        return _area(self.by_confidence - self.by_error, self.removed)

    @property
    def aurg(self) -> float:
        """What is gained over the error of all pixels, in the error's unit: near 0 or below, the order is no use."""
        return float(self.by_confidence[0]) - _area(self.by_confidence, self.removed)


def sparsification(
    confidence: NDArray[np.floating], depth_m: NDArray[np.floating], truth_m: NDArray[np.floating]
) -> Measure:
    """Return areas under the sparsification error for AbsRel and RMSE over the pixels where all three are finite.

    ause_*: as Poggi et al. 2020 (CVPR, arXiv 2005.06209) report it, in the error's own unit, 50 steps; aurg_*: what is
    gained over no confidence at all; ause_normalised_*: divided by the error of all pixels, as Ilg et al. 2018 (ECCV,
    arXiv 1802.07095), so that methods of different error can be compared. Equal confidences count as their mean
    error, whatever the order of the pixels. Any equal shapes; nothing to measure gives NaN over 0 pixels.
    """
    curves = sparsification_curves(confidence, depth_m, truth_m)
    if curves is None:
        return Measure.empty(SPARSIFICATION_NAMES)
    values: dict[str, float] = {}
    for name, curve in curves[0].items():
        whole = float(curve.by_confidence[0])
        values[f"ause_{name}"] = curve.ause
        values[f"aurg_{name}"] = curve.aurg
        values[f"ause_normalised_{name}"] = curve.ause / whole if whole > 0 else 0.0
    return Measure(values, curves[1])


def sparsification_curves(
    confidence: NDArray[np.floating], depth_m: NDArray[np.floating], truth_m: NDArray[np.floating]
) -> tuple[dict[str, SparsificationCurve], int] | None:
    """Return the curves "abs_rel" and "rmse" and their number of pixels, for drawing; None without a pixel."""
    finite = np.isfinite(confidence) & np.isfinite(depth_m) & np.isfinite(truth_m)
    if not finite.any():
        return None
    c, d, g = confidence[finite], depth_m[finite].astype(np.float64), truth_m[finite].astype(np.float64)
    order = np.argsort(-c)
    ends = np.flatnonzero(np.append(np.diff(c[order]) != 0, True)) + 1
    absolute_m = np.abs(d - g)
    curves = {
        "abs_rel": _curve(absolute_m / g, order, ends, root=False),
        "rmse": _curve(absolute_m**2, order, ends, root=True),
    }
    return curves, len(c)


def _curve(error: Array, order: NDArray[np.intp], ends: NDArray[np.intp], *, root: bool) -> SparsificationCurve:
    """Return the curve of one error per pixel; `ends` are where runs of equal confidence end along `order`."""
    removed = np.linspace(0.0, 1.0, N_FRACTIONS + 1)
    kept = len(error) * (1.0 - removed[:-1])
    # Between the ends of a run of equal confidence the expected sum is linear: no order of the pixels matters.
    total = np.interp(kept, np.append(0, ends), np.append(0.0, np.cumsum(error[order])[ends - 1]))
    least = np.interp(kept, np.arange(len(error) + 1), np.append(0.0, np.cumsum(np.sort(error))))
    by_confidence, by_error = np.append(total / kept, 0.0), np.append(least / kept, 0.0)
    if root:
        by_confidence, by_error = np.sqrt(by_confidence), np.sqrt(by_error)
    return SparsificationCurve(removed, by_confidence, by_error)


def _area(height: Array, x: Array) -> float:
    return float(np.sum(0.5 * (height[1:] + height[:-1]) * np.diff(x)))


@dataclass(frozen=True, eq=False)
class Reliability:
    """Counts from which the calibration of a confidence follows; those of many images add up."""

    n_pixels: NDArray[np.int64]  # [N_BINS] pixels per bin of confidence, equal widths, 1.0 in the last
    confidence_sum: Array  # [N_BINS]
    hit_sum: Array  # [N_BINS] pixels within `HIT_RATIO` of the truth
    squared_sum: float  # of (confidence - hit)^2

    @classmethod
    def none(cls) -> Self:
        """Return the counts of no pixel."""
        return cls(np.zeros(N_BINS, np.int64), np.zeros(N_BINS), np.zeros(N_BINS), 0.0)

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(
            self.n_pixels + other.n_pixels,
            self.confidence_sum + other.confidence_sum,
            self.hit_sum + other.hit_sum,
            self.squared_sum + other.squared_sum,
        )

    @property
    def curve(self) -> tuple[Array, Array]:
        """Mean confidence and hit rate of each bin [N_BINS]; NaN where a bin is empty."""
        with np.errstate(invalid="ignore"):
            return self.confidence_sum / self.n_pixels, self.hit_sum / self.n_pixels

    def measure(self) -> Measure:
        """Return ece: the mean over pixels of |mean confidence - hit rate| of their bin (Guo et al. 2017, arXiv
        1706.04599); brier: the mean of (confidence - hit)^2; and the two means; NaN over 0 pixels where empty."""
        n = int(self.n_pixels.sum())
        if n == 0:
            return Measure.empty(RELIABILITY_NAMES)
        ece = float(np.abs(self.confidence_sum - self.hit_sum).sum()) / n
        means = float(self.confidence_sum.sum()) / n, float(self.hit_sum.sum()) / n
        return Measure(dict(zip(RELIABILITY_NAMES, (ece, self.squared_sum / n, *means), strict=True)), n)


def reliability(
    confidence: NDArray[np.floating], depth_m: NDArray[np.floating], truth_m: NDArray[np.floating]
) -> Reliability:
    """Return the calibration counts of a confidence (the probability of a hit) over the pixels where all are finite.

    Any equal shapes; confidence 0 to 1, depths positive.
    """
    finite = np.isfinite(confidence) & np.isfinite(depth_m) & np.isfinite(truth_m)
    c, d, g = confidence[finite].astype(np.float64), depth_m[finite], truth_m[finite]
    hit = (np.maximum(d / g, g / d) < HIT_RATIO).astype(np.float64)
    place = np.clip((c * N_BINS).astype(np.int64), 0, N_BINS - 1)
    return Reliability(
        np.bincount(place, minlength=N_BINS).astype(np.int64),
        np.bincount(place, weights=c, minlength=N_BINS).astype(np.float64),
        np.bincount(place, weights=hit, minlength=N_BINS).astype(np.float64),
        float(np.sum((c - hit) ** 2)),
    )
