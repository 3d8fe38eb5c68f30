"""Scores as tables in the field's layout: cameras, range bands or methods as rows, AbsRel to a3 as columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

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

_OTHER_TITLES = {"coverage": "answered", "ratio": "factor"}
_WORDS = {
    "abs_rel": "AbsRel",
    "rmse": "RMSE",
    "ause": "AUSE",
    "aurg": "AURG",
    "ece": "ECE",
    "brier": "Brier",
    "f_score": "F-score",
}
_NOT_SHOWN = ("silog",)  # no published table has it; scores.json does


def means_table(
    first: str, rows: Mapping[str, Mapping[str, float]], *, mean: Mapping[str, float] | None = None
) -> Table:
    """Return rows of named values (name -> value, NaN where there is none), `mean` last where it is given.

    Args:
        first: header of the column of row names.
    """
    lines = dict(rows) if mean is None else {**rows, "mean": mean}
    names = _columns(lines.values())
    titles = map(_title, names)
    cells = tuple((row, *(_cell(name, values) for name in names)) for row, values in lines.items())
    return Table((first, *titles), cells, emphasised=None if mean is None else len(cells) - 1)


def values_table(values: Mapping[str, float]) -> Table:
    """Return a row for each named value: for many numbers of one thing."""
    names = _columns([values])
    return Table(("number", "value"), tuple((_title(name), _cell(name, values)) for name in names))


def _title(name: str) -> str:
    known = METRIC_TITLES.get(name) or _OTHER_TITLES.get(name)
    if known:
        return known
    for word, text in _WORDS.items():
        name = name.replace(word, text)
    return name.replace("_", " ")


def _columns(rows: Iterable[Mapping[str, float]]) -> tuple[str, ...]:
    """Return the names that any row has: the field's metrics first; factors only where one is not 1."""
    rows = list(rows)
    present = dict.fromkeys(name for row in rows for name in row if name not in _NOT_SHOWN)
    if all(row.get("ratio", 1.0) == 1.0 for row in rows):
        present.pop("ratio", None)
    known = [name for name in (*METRIC_TITLES, *_OTHER_TITLES) if name in present]
    return (*known, *(name for name in present if name not in known))


def _cell(name: str, values: Mapping[str, float]) -> str:
    value = values.get(name, math.nan)
    if not math.isfinite(value):
        return "–"
    return f"{value:.1%}" if name == "coverage" else f"{value:.3f}"


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
