"""Depth errors summed up the way the field does: per image, then the mean per camera, then the mean over cameras.

The one rule by which playback and evaluation judge depth, so that their numbers can be compared:

- Truth counts strictly inside the scored range (by default 0.5 to 80 m); predictions are clamped to it.
- What the system called sky is scored as the engine's farthest depth (`answered_depth_m`): calling a house sky costs
  what calling it far away costs, so silence about difficult pixels cannot improve a score.
- Pixels that can have no answer (a damaged value, a corner outside the lens) are left out of the errors and confessed
  by `coverage`: an error is to be read together with it.
- Own vehicle and dead cameras have no truth (`data.network_truth`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import ConfigError, DataError
from surround_depth.metrics.depth import DepthErrors, depth_errors, mean_errors


@dataclass(frozen=True)
class ScoredRange:
    """Only truth strictly inside counts, and predictions are clamped to it.

    Raises:
        ConfigError: the range is empty or starts at or below zero.
    """

    min_depth_m: float = 0.5
    max_depth_m: float = 80.0

    def __post_init__(self) -> None:
        if not 0.0 < self.min_depth_m < self.max_depth_m:
            raise ConfigError(
                f"scored range {self.min_depth_m:g} to {self.max_depth_m:g} m: expected 0 < nearest < farthest"
            )


DEFAULT_RANGE = ScoredRange()


@dataclass(frozen=True)
class DepthScores:
    """The errors of one predictor against one kind of truth."""

    cameras: Mapping[str, DepthErrors]
    mean: DepthErrors
    """Unweighted mean over cameras that had truth."""
    coverage: float
    """Share of the true pixels that were answered; NaN without any truth."""
    scored_range: ScoredRange = DEFAULT_RANGE

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "range_m": [self.scored_range.min_depth_m, self.scored_range.max_depth_m],
            "coverage": self.coverage,
            "mean": self.mean.as_dict(),
            "per_camera": {name: errors.as_dict() for name, errors in self.cameras.items()},
        }


class ScoreBoard:
    """Collects the errors of one predictor against one kind of truth, frame by frame."""

    def __init__(self, scored_range: ScoredRange = DEFAULT_RANGE) -> None:
        self._errors: dict[str, list[DepthErrors]] = {}
        self._range = scored_range
        self._n_true, self._n_answered = 0, 0

    @property
    def n_true(self) -> int:
        """The number of pixels with truth inside the range so far."""
        return self._n_true

    def add(self, names: Sequence[str], depth_m: NDArray[np.float32], truth_m: NDArray[np.float32]) -> None:
        """Score one frame of the cameras `names`: `depth_m` and `truth_m` [N, H, W], NaN = no answer, no truth.

        Raises:
            DataError: the prediction is not for these cameras at this size.
        """
        if depth_m.shape != truth_m.shape or len(names) != len(truth_m):
            raise DataError(
                f"a prediction {depth_m.shape} [N, H, W] cannot answer for truth {truth_m.shape} of {tuple(names)}"
            )
        limits_m = self._range.min_depth_m, self._range.max_depth_m
        counted = (truth_m > limits_m[0]) & (truth_m < limits_m[1])
        self._n_true += int(counted.sum())
        self._n_answered += int((counted & np.isfinite(depth_m)).sum())
        clamped_m = np.where(np.isfinite(depth_m), np.clip(depth_m, *limits_m), np.nan)
        for i, name in enumerate(names):
            self._errors.setdefault(name, []).append(depth_errors(clamped_m[i], truth_m[i], counted[i]))

    def scores(self) -> DepthScores:
        """Return the means so far."""
        cameras = {name: mean_errors(errors) for name, errors in self._errors.items()}
        coverage = self._n_answered / self._n_true if self._n_true else float("nan")
        return DepthScores(cameras, mean_errors(list(cameras.values())), coverage, self._range)


def answered_depth_m(depth_m: NDArray[np.float32], sky: NDArray[np.bool_], farthest_m: float) -> NDArray[np.float32]:
    """Return the depth [N, H, W] that is scored: `depth_m` (NaN = no answer), `farthest_m` where `sky` was answered.

    Args:
        farthest_m: the end of the engine's range, `EngineSpec.max_depth_m`.
    """
    return np.where(sky, np.float32(farthest_m), depth_m)
