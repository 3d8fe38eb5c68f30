"""Two results side by side: refused unless they mean the same thing, and a difference only where it is one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surround_depth.data.paths import read_json
from surround_depth.data.rows import Row
from surround_depth.errors import DataError
from surround_depth.evaluation.score_report import RECORDS_NAME, SCHEMA_VERSION, SCORES_NAME, ScoreOrigin
from surround_depth.evaluation.tables import CaptionedTable, Table
from surround_depth.metrics.bootstrap import MIN_FOR_DIFFERENCE, MIN_SEQUENCES, Interval, paired_difference
from surround_depth.metrics.records import Record

COMPARED = (("metric", "abs_rel"), ("metric", "rmse"), ("metric", "a1"), ("median", "abs_rel"), ("median", "a1"))
_HIGHER_IS_BETTER = ("a1", "a2", "a3")
_ANSWERS_EVERYWHERE = 0.999  # who leaves out what is hard has the smaller error
_ROUNDING = 5e-5  # nobody prints more digits, and float32 answers scaled twice differ there
_MUST_AGREE = (
    ("protocol", "score both by one protocol"),
    ("samples", "score both on one list of samples"),
    ("truth", "score both against one truth: the same files, masks and, where the protocol scores on it, network size"),
)


@dataclass(frozen=True)
class SavedScores:
    """What `write_scores` left in a folder."""

    folder: Path
    scores: Mapping[str, Any]
    records: Sequence[Record]

    @property
    def name(self) -> str:
        """Name of the method."""
        return str(self.scores["predictor"]["name"])

    @property
    def answered(self) -> float:
        """Share of the scored truth that was answered; 0 where the result does not say."""
        counts = self.scores.get("counts", {})
        return float(counts.get("coverage") or 0.0)


@dataclass(frozen=True)
class Comparison:
    """One number of both methods."""

    group: str
    metric: str
    difference: Interval
    """The second minus the first, over the drives that both were scored on."""
    answered: tuple[float, float] = (1.0, 1.0)
    """Share of the truth that the first and the second answered."""

    @property
    def verdict(self) -> str:
        """What may be said."""
        if min(self.answered) < _ANSWERS_EVERYWHERE:
            shares = " and ".join(f"{share:.1%}" for share in self.answered)
            return f"no verdict: they answer {shares} of the truth"
        if abs(self.difference.estimate) < _ROUNDING:
            return "equal to four digits"
        if self.difference.n_sequences < MIN_FOR_DIFFERENCE:
            return f"no verdict below {MIN_FOR_DIFFERENCE} drives"
        if not self.difference.is_difference:
            return "no difference shown"
        higher = self.difference.estimate > 0
        return "difference: better" if higher == (self.metric in _HIGHER_IS_BETTER) else "difference: worse"


def read_scores(folder: Path) -> SavedScores:
    """Return a saved result.

    Raises:
        DataError: a file is missing, damaged, or of another version of the schema.
    """
    if not (folder / SCORES_NAME).is_file():
        raise DataError(f"{folder} holds no result ({SCORES_NAME}); give the --out of an earlier run")
    scores = read_json(folder / SCORES_NAME)
    if not isinstance(scores, dict) or scores.get("schema_version") != SCHEMA_VERSION:
        raise DataError(f"{folder / SCORES_NAME} is not a result of this version; evaluate again")
    row = Row(str(folder / SCORES_NAME), scores)
    row.child("predictor").text("name"), row.child("truth").text("sha256"), row.child("samples").text("sha256")
    row.child("protocol").text("name")
    path = folder / RECORDS_NAME
    try:
        records = [Record.from_dict(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error}); evaluate again") from error
    if not records:
        raise DataError(f"{path} is empty; evaluate again")
    return SavedScores(folder, scores, records)


def method_of(folder: Path) -> str:
    """Return the name of the method whose result a folder holds; empty where it holds none that can be read."""
    try:
        return Row(SCORES_NAME, read_json(folder / SCORES_NAME)).child("predictor").text("name")
    except (DataError, TypeError):
        return ""


def require_same_task(saved: SavedScores, origin: ScoreOrigin) -> None:
    """Refuse a saved result that a run about to start could not be compared with, before it takes its hours.

    Raises:
        DataError: protocol or samples differ, or the grids where the protocol scores on them.
    """
    started = json.loads(json.dumps({"protocol": origin.protocol.as_dict(), "samples": dict(origin.samples)}))
    _require_alike(saved, "this run", started)
    if int(origin.samples["n_sequences"]) < MIN_SEQUENCES:
        n = origin.samples["n_sequences"]
        raise DataError(f"a comparison pairs drives, and {n} say nothing; score at least {MIN_SEQUENCES}")
    kind = saved.scores["truth"].get("kind")
    if kind != origin.truth_kind:
        raise DataError(
            f"{saved.folder} is scored against {kind}, this run against {origin.truth_kind}; use one --truth"
        )
    own, other = saved.scores["predictor"].get("grid"), origin.predictor.get("grid")
    if origin.protocol.truth in ("downsampled", "network") and own != other:
        raise DataError(
            f"protocol {origin.protocol.name} scores on the answers' own grid: {saved.folder} has {own}, this run "
            f"{other}; compare by sd:noflip or strict, or save answers on that grid (window_px)"
        )


def compare(first: SavedScores, second: SavedScores) -> tuple[Comparison, ...]:
    """Return the paired differences, second minus first, of what both have.

    Raises:
        DataError: protocol, samples or truth differ, or the two share fewer than three drives.
    """
    _require_alike(first, str(second.folder), second.scores)
    answered = first.answered, second.answered
    present = [{(r.group, name) for r in saved.records for name in r.values} for saved in (first, second)]
    return tuple(
        Comparison(group, metric, paired_difference(second.records, first.records, group, metric), answered)
        for group, metric in COMPARED
        if (group, metric) in present[0] & present[1]
    )


def _require_alike(first: SavedScores, second_name: str, second: Mapping[str, Any]) -> None:
    """Compare what has to agree, as far as `second` has it yet."""
    for key, advice in _MUST_AGREE:
        if key not in second:
            continue
        own, other = (_identity(key, scores[key]) for scores in (first.scores, second))
        if own != other:
            raise DataError(f"{first.folder} and {second_name} differ in {key} ({_contrast(own, other)}); {advice}")


def comparison_section(first: SavedScores, second: SavedScores, found: Sequence[Comparison]) -> CaptionedTable:
    """Return the comparison as a table."""
    rows = tuple(
        (
            f"{c.group} {c.metric}",
            f"{c.difference.estimate:+.4f}",
            f"{c.difference.low:+.4f} to {c.difference.high:+.4f}",
            c.verdict,
        )
        for c in found
    )
    n, level = found[0].difference.n_sequences, found[0].difference.level
    names = [saved.name for saved in (first, second)]
    if names[0] == names[1]:
        names = [f"{saved.name} in {saved.folder.name}" for saved in (first, second)]
    caption = f"{names[1]} minus {names[0]}, paired over {n} drives; verdicts are about {names[1]}:"
    return CaptionedTable(caption, Table(("number", "difference", f"{level:.0%} interval", "verdict"), rows))


def _identity(key: str, tree: Mapping[str, Any]) -> Any:
    """Return the part of a result that must be equal."""
    return tree["sha256"] if key in ("samples", "truth") else tree


def _contrast(own: Any, other: Any) -> str:
    """Return the first difference, short enough for an error."""
    if isinstance(own, dict) and isinstance(other, dict):
        key = next(key for key in {**own, **other} if own.get(key) != other.get(key))
        return f"{key}: {str(own.get(key))[:40]} and {str(other.get(key))[:40]}"
    return f"{str(own)[:12]} and {str(other)[:12]}"
