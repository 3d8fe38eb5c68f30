"""A study's results as Markdown for people, and the same figures with every seed's and drive's values as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from surround_depth.evaluation.tables import Table
from surround_depth.studies.comparison import LEVEL, Difference
from surround_depth.studies.config import Condition, EvaluationSet
from surround_depth.studies.results import HIGHER_IS_BETTER, Results
from surround_depth.studies.scoring import DEPTH_MEASURES, HEALTHY, HEALTHY_BEFORE, MEASURES

MAX_LOSS_OF_A_CAMERA = 0.02
"""How much worse healthy cameras may become when one dies."""
_HEADS = {
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel m",
    "rmse": "RMSE m",
    "a1": "delta1",
    "overlap_abs_rel": "overlap AbsRel",
    "consistency": "consistency",
    "ause": "AUSE",
    "ece": "ECE",
    "edges_abs_rel": "AbsRel at edges",
}
_SIDE = tuple(name for name in MEASURES if name in _HEADS and name != "abs_rel")
"""The others count in the mean gain, and are in the JSON."""
_NOTES = f"""\
Means over seeds and held-out drives, against exact depth, by protocol strict, at the resolution of training.
Differences are relative to the row under "against", with {LEVEL:.0%} intervals for other drives and other seeds
(`surround_depth.studies.comparison`); better and worse are said only where the interval excludes zero. Each interval is
for itself: of twenty comparisons of equals one excludes zero. In the columns after the verdict, + and - mark what is
better and worse than the first row under "against" by the same rule.
A mean is over all seeds of its row, a difference over the seeds that both rows have.
consistency: AbsRel of a neighbour's distance against a camera's own, where both truly see the surface. AUSE: of AbsRel.
ECE: of the confidence as the probability to be within 25 %. AbsRel at edges: within 3 pixels of true depth edges."""


def markdown(results: Results) -> str:
    """Return the whole study as Markdown."""
    study = results.study
    blocks = [f"# Study: {study.name}", _NOTES, _rows_list(results)]
    for entry in study.evaluation:
        drives = study.sets[entry.set].n_drives
        blocks.append(f"## {entry.set}: rig {study.sets[entry.set].rig}, {drives} held-out drives")
        for condition in entry.conditions:
            blocks += [_CAPTIONS[condition], _condition_table(results, entry, condition).markdown()]
            if condition == "clean":
                blocks += [_GAINS, _gain_table(results, entry.set).markdown()]
    return "\n\n".join(blocks) + "\n"


_GAINS = """\
Mean gain in AbsRel, SqRel, RMSE, RMSElog and delta 1 to 3 over the row under "against"; +10 % is ten percent better:"""
_CAPTIONS: dict[Condition, str] = {
    "clean": "As rendered:",
    "corrupted": "Pictures spoilt in ways that no training has seen (motion blur, impulse noise, fog, darkness, dirt):",
    "dead": f"One camera dead, in turn; AbsRel of the healthy ones. It may rise by {MAX_LOSS_OF_A_CAMERA:.0%}:",
}


def as_dict(results: Results) -> dict[str, Any]:
    """Return the whole study as plain values: configuration, per-seed means, comparisons and per-drive scores."""
    return {
        "study": results.study.model_dump(mode="json"),
        "rows": {
            name: {
                "what": results.study.rows[name].what,
                "commits": list(row.commits),
                "failures": {str(seed): line for seed, line in row.failures.items()},
                "means": _means(results, name),
                "validation": None if math.isnan(results.validation[name]) else results.validation[name],
                "against": {other: _differences(results, name, other) for other in _others(results, name)},
                "scores": {str(seed): scores for seed, scores in row.scores.items()},
            }
            for name, row in results.rows.items()
        },
    }


def _others(results: Results, row: str) -> tuple[str, ...]:
    return results.study.others(row)


def _measures(condition: Condition) -> tuple[str, ...]:
    match condition:
        case "clean":
            return tuple(MEASURES)
        case "corrupted":
            return DEPTH_MEASURES
        case "dead":
            return (HEALTHY, HEALTHY_BEFORE)


def _cells(results: Results) -> Iterator[tuple[str, Condition, str]]:
    for entry in results.study.evaluation:
        for condition in entry.conditions:
            yield from ((entry.set, condition, measure) for measure in _measures(condition))


def _means(results: Results, row: str) -> dict[str, Any]:
    if not results.rows[row].scores:
        return {}
    return {
        f"{set_name}/{condition}/{measure}": {
            "mean": results.mean(row, set_name, condition, measure),
            "seeds": {str(s): v for s, v in results.seed_means(row, set_name, condition, measure).items()},
        }
        for set_name, condition, measure in _cells(results)
    }


def _differences(results: Results, row: str, other: str) -> dict[str, Any]:
    found = {}
    for set_name, condition, measure in _cells(results):
        difference = results.difference(row, other, set_name, condition, measure)
        if difference is not None:
            found[f"{set_name}/{condition}/{measure}"] = {
                "estimate": difference.estimate,
                "low": difference.low,
                "high": difference.high,
                "n_seeds": difference.n_seeds,
                "n_drives": difference.n_drives,
                "verdict": _verdict(difference, measure),
            }
    return found


def _verdict(difference: Difference, measure: str) -> str:
    return difference.verdict(lower_is_better=measure not in HIGHER_IS_BETTER)


def _rows_list(results: Results) -> str:
    lines = []
    for name, row in results.rows.items():
        seeds = f"seeds {', '.join(map(str, row.scores))}" if row.scores else "not run"
        error = results.validation[name]
        validated = f"; validation {error:.4f}" if math.isfinite(error) else ""
        lines.append(f"- `{name}` ({seeds}{validated}): {results.study.rows[name].what}")
        lines += [f"  - seed {seed} failed: {line}" for seed, line in row.failures.items()]
    if (winner := results.winner()) is not None:
        lines.append(f"\nChosen by validation, on drives that neither train nor are scored: `{winner}`.")
    return "\n".join(lines)


def _condition_table(results: Results, entry: EvaluationSet, condition: Condition) -> Table:
    if condition == "dead":
        return _dead_table(results, entry.set)
    side = tuple(name for name in _measures(condition) if name in _SIDE)
    header = ("row", "AbsRel", "against", "difference", f"{LEVEL:.0%} interval", "verdict", *(_HEADS[n] for n in side))
    lines = []
    for row in results.rows:
        if not results.rows[row].scores:
            continue
        others = _others(results, row)
        value = f"{results.mean(row, entry.set, condition, 'abs_rel'):.4f}"
        rest = [_side_cell(results, row, others, entry.set, condition, measure) for measure in side]
        for i, other in enumerate(others or ("-",)):
            compared = _compared(results, row, other, entry.set, condition)
            lines.append((row, value, other, *compared, *(rest if i == 0 else ("",) * len(rest))))
    return Table(header, tuple(lines))


def _gain_table(results: Results, set_name: str) -> Table:
    lines = []
    for row in results.rows:
        for other in _others(results, row):
            gain = results.gain(row, other, set_name) if results.rows[row].scores else None
            if gain is not None:
                lines.append((row, other, *_percent(gain), gain.verdict(lower_is_better=False)))
    return Table(("row", "against", "mean gain", f"{LEVEL:.0%} interval", "verdict"), tuple(lines))


def _compared(results: Results, row: str, other: str, set_name: str, condition: Condition) -> tuple[str, str, str]:
    difference = results.difference(row, other, set_name, condition, "abs_rel") if other in results.rows else None
    if difference is None:
        return ("-", "-", "-")
    return (*_percent(difference), _verdict(difference, "abs_rel"))


def _percent(difference: Difference) -> tuple[str, str]:
    return f"{difference.estimate:+.1%}", f"{difference.low:+.1%} to {difference.high:+.1%}"


def _side_cell(
    results: Results, row: str, others: tuple[str, ...], set_name: str, condition: Condition, measure: str
) -> str:
    value = results.mean(row, set_name, condition, measure)
    if math.isnan(value):
        return "-"
    difference = results.difference(row, others[0], set_name, condition, measure) if others else None
    marks = {"better": " +", "worse": " -"}
    return f"{value:.4g}" + (marks.get(_verdict(difference, measure), "") if difference is not None else "")


def _dead_table(results: Results, set_name: str) -> Table:
    lines = []
    for row in results.rows:
        loss = results.loss_of_a_camera(row, set_name)
        if loss is None:
            continue
        before, after = (results.mean(row, set_name, "dead", name) for name in (HEALTHY_BEFORE, HEALTHY))
        lines.append((row, f"{before:.4f}", f"{after:.4f}", *_percent(loss), _within_the_limit(loss)))
    header = ("row", "all alive", "one dead", "rise", f"{LEVEL:.0%} interval", "within the limit")
    return Table(header, tuple(lines))


def _within_the_limit(loss: Difference) -> str:
    """Return what the whole interval says: one that reaches over the limit says neither."""
    if loss.low <= MAX_LOSS_OF_A_CAMERA < loss.high:
        return "not sure"
    return "yes" if loss.high <= MAX_LOSS_OF_A_CAMERA else "no"
