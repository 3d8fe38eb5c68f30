"""What a study found so far: the scores of its runs, and every row compared with those it is held against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surround_depth.errors import DataError
from surround_depth.geometry import Array
from surround_depth.studies.comparison import Difference, mean_gain, relative_difference
from surround_depth.studies.config import Condition, StudyConfig
from surround_depth.studies.run import read_commit, read_failure, read_scores, runs_of, validation_error
from surround_depth.studies.scoring import DEPTH_MEASURES, HEALTHY, HEALTHY_BEFORE

HIGHER_IS_BETTER = ("a1", "a2", "a3")


@dataclass(frozen=True)
class RowResult:
    """The runs of one row."""

    scores: Mapping[int, Any]
    """Seed -> set -> condition -> measure -> drive -> value."""
    failures: Mapping[int, str]
    """Seed -> error line."""
    commits: tuple[str, ...]
    """That trained them; more than one means that the code changed on the way."""

    def values(
        self, set_name: str, condition: Condition, measure: str, drives: Sequence[str], seeds: Iterable[int]
    ) -> Array:
        """Return the values [seeds, drives]; NaN where a drive has none."""
        found = [self.scores[seed][set_name][condition][measure] for seed in seeds]
        rows = [[math.nan if per_drive.get(d) is None else per_drive[d] for d in drives] for per_drive in found]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(drives))

    def drives(self, set_name: str, condition: Condition, measure: str) -> tuple[str, ...]:
        """Return the drives that were scored."""
        first = next(iter(self.scores.values()), None)
        return () if first is None else tuple(first[set_name][condition][measure])


@dataclass(frozen=True)
class Results:
    """Everything that lies in a study's folder and was made from this study."""

    study: StudyConfig
    rows: Mapping[str, RowResult]
    validation: Mapping[str, float]
    """Row -> AbsRel on drives that neither train nor are scored, mean over its seeds; NaN where it is not known."""

    def winner(self) -> str | None:
        """Return the row that validation chooses among those that every seed was trained of; scored drives have no say.

        The teacher of a study competes with nobody.
        """
        whole = [
            name
            for name, row in self.rows.items()
            if len(row.scores) == len(self.study.seeds) and name != self.study.teacher
        ]
        known = [name for name in whole if math.isfinite(self.validation[name])]
        return min(known, key=lambda name: self.validation[name], default=None)

    def mean(self, row: str, set_name: str, condition: Condition, measure: str) -> float:
        """Return the mean over seeds and drives; NaN where nothing was scored."""
        return _mean(self._all_values(row, set_name, condition, measure))

    def seed_means(self, row: str, set_name: str, condition: Condition, measure: str) -> dict[int, float]:
        """Return seed -> mean over drives; NaN where none has a value."""
        values = self._all_values(row, set_name, condition, measure)
        return dict(zip(self.rows[row].scores, map(_mean, values), strict=True))

    def difference(self, row: str, other: str, set_name: str, condition: Condition, measure: str) -> Difference | None:
        """Return how `row` differs from `other` over the seeds they share; None where they share none, or where one of
        them has a mean of zero."""
        own, reference = self.rows[row], self.rows[other]
        drives, seeds = own.drives(set_name, condition, measure), [s for s in own.scores if s in reference.scores]
        return _difference(*(r.values(set_name, condition, measure, drives, seeds) for r in (own, reference)))

    def gain(self, row: str, other: str, set_name: str) -> Difference | None:
        """Return the mean gain of `row` over `other` in all measures of depth; None as `difference`."""
        own, reference = self.rows[row], self.rows[other]
        seeds = [seed for seed in own.scores if seed in reference.scores]
        drives = own.drives(set_name, "clean", DEPTH_MEASURES[0])
        pairs = [
            (
                own.values(set_name, "clean", name, drives, seeds),
                reference.values(set_name, "clean", name, drives, seeds),
            )
            for name in DEPTH_MEASURES
        ]
        try:
            return mean_gain(pairs, [name not in HIGHER_IS_BETTER for name in DEPTH_MEASURES])
        except DataError:
            return None

    def loss_of_a_camera(self, row: str, set_name: str) -> Difference | None:
        """Return how much worse the healthy cameras are while one is dead, than the same images with all alive.

        None where that was not scored.
        """
        return _difference(*(self._all_values(row, set_name, "dead", name) for name in (HEALTHY, HEALTHY_BEFORE)))

    def _all_values(self, row: str, set_name: str, condition: Condition, measure: str) -> Array:
        result = self.rows[row]
        return result.values(set_name, condition, measure, result.drives(set_name, condition, measure), result.scores)


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _difference(own: Array, other: Array) -> Difference | None:
    try:
        return relative_difference(own, other)
    except DataError:
        return None


def read_results(study: StudyConfig, out: Path) -> Results:
    """Return what lies in the folder of a study; runs of another configuration do not count."""
    rows = {}
    for name in study.rows:
        runs = runs_of(study, out, [name])
        scores = {run.seed: found for run in runs if (found := read_scores(run)) is not None}
        failures = {
            run.seed: line for run in runs if run.seed not in scores and (line := read_failure(run)) is not None
        }
        commits = tuple(dict.fromkeys(read_commit(run) for run in runs if run.seed in scores))
        rows[name] = RowResult(scores, failures, commits)
    validation = {
        name: _mean(np.array([validation_error(run) for run in runs_of(study, out, [name])])) for name in rows
    }
    return Results(study, rows, validation)
