"""Which rows of a study go on to all seeds, chosen by drives that neither train nor are scored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from surround_depth.studies.config import Screening, StudyConfig
from surround_depth.studies.run import Run, runs_of, validation_error


def stages(study: StudyConfig, out: Path, rows: Sequence[str] = (), seeds: Sequence[int] = ()) -> Iterator[list[Run]]:
    """Yield the runs of each part of a study; the next part depends on what came of the one before.

    Without a screening, or where rows or seeds are asked for, there is one part.
    """
    if study.screening is None or rows or seeds:
        yield runs_of(study, out, rows, seeds)
        return
    yield runs_of(study, out, (), study.screening.seeds)
    yield runs_of(study, out, leaders(study, study.screening, out))


def leaders(study: StudyConfig, screening: Screening, out: Path) -> list[str]:
    """Return the rows that go on, in the order of the study: those that always do, and the best of the others."""
    errors = {row: screening_error(study, screening, row, out) for row in study.rows if row not in screening.always}
    ranked = sorted((row for row, error in errors.items() if math.isfinite(error)), key=lambda row: errors[row])
    kept = {*screening.always, *ranked[: screening.keep]}
    kept |= {other for row in kept for other in study.others(row)}  # or there is nothing to hold them against
    return [row for row in study.rows if row in kept]


def screening_error(study: StudyConfig, screening: Screening, row: str, out: Path) -> float:
    """Return the mean validation error (AbsRel against exact depth) of a row's screened runs; NaN where one lacks."""
    found = [validation_error(run) for run in runs_of(study, out, [row], screening.seeds)]
    return math.nan if not found else sum(found) / len(found)
