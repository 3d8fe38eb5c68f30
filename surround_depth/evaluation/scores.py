"""Depth errors summed up the way the field does: per image, then the mean per camera, then the mean over cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.evaluation.tables import Table
from surround_depth.metrics.depth import DepthErrors, depth_errors, mean_errors

METRIC_TITLES = {
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel m",
    "rmse": "RMSE m",
    "rmse_log": "RMSElog",
    "a1": "δ<1.25",
    "a2": "δ<1.25²",
    "a3": "δ<1.25³",
}


@dataclass(frozen=True)
class TruthRange:
    """Only truth strictly inside counts, and predictions are clamped to it."""

    min_depth_m: float = 0.5
    max_depth_m: float = 80.0


@dataclass(frozen=True)
class DepthScores:
    """The errors of one predictor against one kind of truth."""

    cameras: Mapping[str, DepthErrors]
    mean: DepthErrors
    """Unweighted mean over cameras that had truth."""
    answered: float
    """Share of the true pixels that the predictor gave a depth (or called sky, which counts as the farthest depth)."""

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        cameras = {name: errors.as_dict() for name, errors in self.cameras.items()}
        return {"mean": self.mean.as_dict(), "answered": self.answered, "cameras": cameras}

    def table(self) -> Table:
        """Return the errors per camera, the mean last."""
        rows = [(name, *_cells(errors)) for name, errors in self.cameras.items()]
        return Table(("camera", *METRIC_TITLES.values()), (*rows, ("mean", *_cells(self.mean))), emphasised=len(rows))


def comparison_table(scores: Mapping[str, DepthScores]) -> Table:
    """Return one row of mean errors per predictor; the first is the one that matters."""
    rows = tuple((name, *_cells(score.mean)) for name, score in scores.items())
    return Table(("predictor", *METRIC_TITLES.values()), rows, emphasised=0)


class ScoreBoard:
    """Collects the errors of one predictor image by image."""

    def __init__(self, truth_range: TruthRange) -> None:
        self._errors: dict[str, list[DepthErrors]] = {}
        self._range = truth_range
        self._n_true, self._n_answered = 0, 0

    def add(self, names: tuple[str, ...], depth_m: NDArray[np.float32], truth_m: NDArray[np.float32]) -> None:
        """Score one frame of the cameras `names`: `depth_m` and `truth_m` [N, H, W], NaN = no answer, no truth.

        Raises:
            DataError: the prediction is not for these cameras at this size.
        """
        if depth_m.shape != truth_m.shape:
            raise DataError(
                f"a prediction {depth_m.shape} [N, H, W] cannot answer for truth {truth_m.shape} of {names}"
            )
        limits = self._range.min_depth_m, self._range.max_depth_m
        counted = (truth_m > limits[0]) & (truth_m < limits[1])
        self._n_true += int(counted.sum())
        self._n_answered += int((counted & np.isfinite(depth_m)).sum())
        clamped_m = np.clip(depth_m, *limits)
        for i, name in enumerate(names):
            self._errors.setdefault(name, []).append(depth_errors(clamped_m[i], truth_m[i], counted[i]))

    def scores(self) -> DepthScores:
        """Return the means so far."""
        cameras = {name: mean_errors(errors) for name, errors in self._errors.items()}
        answered = self._n_answered / self._n_true if self._n_true else float("nan")
        return DepthScores(cameras, mean_errors(list(cameras.values())), answered)


def _cells(errors: DepthErrors) -> tuple[str, ...]:
    return tuple(f"{getattr(errors, name):.3f}" for name in METRIC_TITLES)
