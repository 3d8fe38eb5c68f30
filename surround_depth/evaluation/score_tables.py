"""Scores as tables: the cameras of one predictor, or one predictor beside another."""

from __future__ import annotations

from collections.abc import Mapping

from surround_depth.evaluation.tables import Table
from surround_depth.metrics.depth import DepthErrors
from surround_depth.metrics.scoreboard import DepthScores

METRIC_TITLES = {
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel m",
    "rmse": "RMSE m",
    "rmse_log": "RMSElog",
    "a1": "δ<1.25",
    "a2": "δ<1.25²",
    "a3": "δ<1.25³",
}


def camera_table(scores: DepthScores) -> Table:
    """Return the errors per camera, the mean last."""
    rows = [(name, *_cells(errors)) for name, errors in scores.cameras.items()]
    return Table(("camera", *METRIC_TITLES.values()), (*rows, ("mean", *_cells(scores.mean))), emphasised=len(rows))


def comparison_table(scores: Mapping[str, DepthScores]) -> Table:
    """Return one row of mean errors per predictor, with the share of the truth it answered; the first matters most."""
    rows = tuple((name, *_cells(score.mean), f"{score.coverage:.1%}") for name, score in scores.items())
    return Table(("predictor", *METRIC_TITLES.values(), "answered"), rows, emphasised=0)


def _cells(errors: DepthErrors) -> tuple[str, ...]:
    return tuple(f"{getattr(errors, name):.3f}" for name in METRIC_TITLES)
