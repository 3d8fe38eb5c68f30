"""Truth beside answers, scored by the rules of a protocol: range, median, clamp, pooling, empty images.

Input are `Pairs`: at one moment, on one camera, the truth and what a method answers there. Output are groups of errors:
"metric" (as answered), "median" (with the protocol's own factor) and "shared" (one factor for the whole rig).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from surround_depth.metrics.depth import NO_PIXELS, DepthErrors, depth_errors
from surround_depth.metrics.measure import Measure
from surround_depth.metrics.protocols import MedianKind, Protocol
from surround_depth.metrics.scoreboard import ScoredRange

Values = NDArray[np.float32]

MINUS_ONE = DepthErrors(**({field.name: -1.0 for field in fields(DepthErrors)} | {"n_pixels": 0}))  # type: ignore[arg-type]
"""What vidar counts for an image that has truth, but none in range."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """One camera at one moment: all of its truth [P], also out of range, and the answers there [P], NaN = none."""

    truth_m: Values
    answer_m: Values


@dataclass(frozen=True)
class UnitScore:
    """The errors of one unit (an image, or a batch of one camera) in one group."""

    camera: str
    group: str
    errors: DepthErrors
    coverage: float
    """Share of the scored truth that was answered; NaN without any."""
    ratio: float
    """The factor the answers were multiplied by; with several images in a unit the mean of theirs."""

    def measure(self) -> Measure:
        """Return the errors with coverage and ratio as named values."""
        errors = Measure.of_errors(self.errors)
        return Measure({**errors.values, "coverage": self.coverage, "ratio": self.ratio}, errors.n_pixels)


def score_unit_batch(
    cameras: Sequence[str], batch: Sequence[Sequence[Pairs]], protocol: Protocol, scored_range: ScoredRange
) -> list[UnitScore]:
    """Return the scores of one batch of moments (`protocol.batch` of them, or fewer at the end of a list).

    Args:
        cameras: names, the order of every moment's pairs.
        batch: per moment, per camera.
    """
    return [
        score
        for i, camera in enumerate(cameras)
        for score in _score_camera(camera, [moment[i] for moment in batch], batch, protocol, scored_range)
    ]


def _score_camera(
    camera: str,
    images: Sequence[Pairs],
    batch: Sequence[Sequence[Pairs]],
    protocol: Protocol,
    scored_range: ScoredRange,
) -> Iterator[UnitScore]:
    counted = [_counted(pairs, protocol, scored_range) for pairs in images]
    truth_m, _ = _pooled(counted)
    n_true = sum(int(_in_range(pairs.truth_m, scored_range).sum()) for pairs in images)
    coverage = len(truth_m) / n_true if n_true else float("nan")
    groups: dict[str, list[float]] = {"metric": [1.0] * len(images)}
    if protocol.median != "none":
        groups["median"] = _factors(counted, protocol.median)
    groups["shared"] = [_shared_factor(moment, protocol, scored_range) for moment in batch]
    for group, factors in groups.items():
        scaled = np.concatenate(
            [_bounded(_times(answers, f), scored_range) for (_, answers), f in zip(counted, factors, strict=True)]
        )
        errors = depth_errors(scaled, truth_m) if len(truth_m) else _empty(images, n_true, protocol)
        yield UnitScore(camera, group, errors, coverage, float(np.mean(factors)))


def _counted(pairs: Pairs, protocol: Protocol, scored_range: ScoredRange) -> tuple[Values, Values]:
    """Return truth and answers of the pixels that count, the answers clamped where the protocol clamps first."""
    counted = _in_range(pairs.truth_m, scored_range) & np.isfinite(pairs.answer_m)
    if protocol.needs_positive_prediction:
        counted &= pairs.answer_m > 0
    answer_m = pairs.answer_m[counted]
    return pairs.truth_m[counted], _bounded(answer_m, scored_range) if protocol.clamp_before_median else answer_m


def _in_range(truth_m: Values, scored_range: ScoredRange) -> NDArray[np.bool_]:
    """Both ends are excluded, in every profile; False on NaN."""
    return (truth_m > scored_range.min_depth_m) & (truth_m < scored_range.max_depth_m)


def _bounded(depth_m: Values, scored_range: ScoredRange) -> Values:
    return depth_m.clip(np.float32(scored_range.min_depth_m), np.float32(scored_range.max_depth_m))


def _pooled(counted: Sequence[tuple[Values, Values]]) -> tuple[Values, Values]:
    return np.concatenate([truth for truth, _ in counted]), np.concatenate([answer for _, answer in counted])


def _factors(counted: Sequence[tuple[Values, Values]], kind: MedianKind) -> list[float]:
    """Return the factor of each image of a unit."""
    match kind:
        case "image_numpy" | "image_torch":
            return [median_factor(truth, answer, lower=kind == "image_torch") for truth, answer in counted]
        case _:  # camera_batch: one for all, over the pooled pixels
            truth, answer = _pooled(counted)
            return [median_factor(truth, answer, lower=True)] * len(counted)


def median_factor(truth_m: Values, answer_m: Values, *, lower: bool) -> float:
    """Return median(truth) / median(answer); 1 where there is nothing, infinite where the median answer is zero.

    Args:
        lower: of an even count the lower middle counts (torch.median), not the mean of the two (numpy.median).
    """
    if not len(truth_m):
        return 1.0
    middle = (len(truth_m) - 1) // 2
    true, answered = (
        (np.partition(values, middle)[middle] if lower else np.median(values)) for values in (truth_m, answer_m)
    )
    return float(true) / float(answered) if answered else float("inf")


def _shared_factor(moment: Sequence[Pairs], protocol: Protocol, scored_range: ScoredRange) -> float:
    """Return one factor for all cameras of a moment: the mean of theirs. FSM's idea; its code was never released."""
    counted = [_counted(pairs, protocol, scored_range) for pairs in moment]
    factors = [median_factor(truth, answer, lower=False) for truth, answer in counted if len(truth)]
    return float(np.mean(factors)) if factors else 1.0


def _times(answer_m: Values, factor: float) -> Values:
    """Return the scaled answers. A median answer of zero makes the factor infinite: zero stays zero, the rest far."""
    with np.errstate(invalid="ignore"):
        return np.where(answer_m == 0, answer_m, answer_m * np.float32(factor))


def _empty(images: Sequence[Pairs], n_true: int, protocol: Protocol) -> DepthErrors:
    """Return what a unit without scored pixels counts: -1 in vidar where it has truth, but none in range.

    Truth in range that nobody answered is no error: it is left out, and told by the coverage.
    """
    out_of_range = n_true == 0 and any(np.isfinite(pairs.truth_m).any() for pairs in images)
    return MINUS_ONE if protocol.empty == "minus_one" and out_of_range else NO_PIXELS
