"""A score report in words and tables, the same for scores.md and for the page: the field's layout first, then the rest.

Only what was measured appears.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surround_depth.errors import DataError
from surround_depth.evaluation.protocol_run import BETWEEN_DRIVES
from surround_depth.evaluation.score_report import ScoreReport
from surround_depth.evaluation.score_tables import means_table, values_table
from surround_depth.evaluation.tables import CaptionedTable
from surround_depth.metrics.bootstrap import MIN_SEQUENCES, interval
from surround_depth.metrics.protocol_means import GroupMeans
from surround_depth.metrics.protocols import OWN_PROTOCOLS
from surround_depth.metrics.records import RIG

SCALES = {
    "metric": "as answered, in metres",
    "median": "after the protocol's median factor",
    "shared": "one factor for the whole rig",
}
BAND, RELIABILITY = "band ", "reliability "
_FULL_LEVEL = 0.95
_DOUBTFUL_FACTOR, _DOUBTFUL_HITS = 3.0, 0.02
_CURVES = (BAND, RELIABILITY, "sparsification")
_BETWEEN = ("overlap", "overlap median", "consistency", "consistency+")

_OTHERS = {
    "edges": (
        "Edges, against dense truth, in recorded pixels. accuracy: from an answered depth edge to the nearest true "
        "one; completeness: from a true edge to the nearest answered one, at most 10; AbsRel within 3 pixels of true "
        "edges, and elsewhere. Lower is better."
    ),
    "confidence": (
        "Confidence, pixels of the rig pooled per sample. AUSE: area above the best possible order (0 is perfect), in "
        "the error's unit and divided by the error of all pixels; AURG: area gained over no confidence (higher is "
        "better, 0 is none); ECE: gap between confidence and hit rate; Brier: mean squared gap (both lower is better)."
    ),
    "cloud": (
        "Cloud, points of answer and truth within 60 m, one per 0.2 m voxel. accuracy: from an answered point to the "
        "nearest true one; completeness: the other way round; lower is better. precision, recall, F-score: shares "
        "below a distance; higher is better."
    ),
    "flicker": (
        "Flicker: how much ln(answer / truth) of the same standing point changes from the sample before; 0.1 is about "
        "10 %, lower is better. bias: the change with its sign, a scale that drifts. A mean over pairs of samples: one "
        "pair that fails shows."
    ),
}


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    tables: tuple[CaptionedTable, ...]


def sections(report: ScoreReport) -> tuple[Section, ...]:
    """Return the report's tables in order of weight."""
    groups = report.groups
    found = [
        Section("Scores", _main(report)),
        Section("Camera by camera", tuple(_cameras(groups))),
        Section("By distance", tuple(_bands(groups))),
        Section("Between cameras", tuple(_between(groups))),
        Section("By condition", tuple(_conditions(report))),
        Section("More than depth errors", tuple(_others(groups))),
    ]
    return tuple(section for section in found if section.tables)


def headline(report: ScoreReport) -> str:
    """Return one sentence: who, on what, by which protocol."""
    origin = report.origin
    protocol, samples = origin.protocol, origin.samples
    return (
        f"{origin.predictor['name']} on {origin.dataset['name']}, protocol {protocol.name} ({protocol.title}), "
        f"{origin.truth_kind} truth, {_count(samples['n'], 'sample')} of {_count(samples['n_sequences'], 'drive')}"
    )


def remarks(report: ScoreReport) -> tuple[str, ...]:
    """Return what a reader has to know before he quotes a number; empty where all is as it should be."""
    return tuple(_remarks(report))


def provenance(report: ScoreReport) -> dict[str, str]:
    """Return what -> which: where the numbers come from, with every hash."""
    origin = report.origin
    parts = {"predictor": report.predictor, "dataset": origin.dataset, "samples": origin.samples, "run": origin.run}
    flat = {f"{part} {name}": value for part, values in parts.items() for name, value in values.items()}
    return {
        "protocol": f"{origin.protocol.name}: {origin.protocol.title}",
        ("scored are" if origin.protocol.name in OWN_PROTOCOLS else "its published numbers are over"): (
            origin.protocol.samples
        ),
        "truth": f"{origin.truth_kind}, SHA-256 {report.truth_sha256}",
        **{name: _plain(value) for name, value in flat.items() if value != ""},
    }


def _plain(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)


def markdown(report: ScoreReport) -> str:
    """Return scores.md."""
    parts = [f"# {headline(report)}"]
    parts += [f"- {remark}" for remark in remarks(report)]
    for section in sections(report):
        parts.append(f"## {section.title}")
        parts += [text for table in section.tables for text in (table.caption, table.table.markdown())]
    parts.append("## Where this comes from")
    parts.append("\n".join(f"- {name}: {value}" for name, value in provenance(report).items()))
    return "\n\n".join(parts) + "\n"


def _main(report: ScoreReport) -> tuple[CaptionedTable, ...]:
    name = report.origin.predictor["name"]
    methods = {name: report.groups, **report.baseline_groups}
    rows = {
        f"{method}, {scale}": groups[scale].mean
        for scale in SCALES
        for method, groups in methods.items()
        if scale in groups
    }
    scales = "; ".join(f"{scale}: {words}" for scale, words in SCALES.items() if scale in report.groups)
    order = "cameras, then batches" if report.origin.protocol.batch_first else "images, then cameras"
    caption = f"Mean over {order}. {scales}.{_interval_text(report)}"
    return (CaptionedTable(caption, means_table("method, scale", rows)),)


def _interval_text(report: ScoreReport) -> str:
    """Return the interval of the metric AbsRel over drives; empty where its mean is not the one in the table."""
    protocol = report.origin.protocol
    if protocol.batch_first or (protocol.empty != "skip" and report.groups["metric"].n_empty):
        return ""
    try:
        found = interval(report.records, "metric", "abs_rel")
    except DataError:
        return f" No interval: it takes at least {MIN_SEQUENCES} drives."
    return (
        f" Metric AbsRel {found.estimate:.3f}, {found.level:.0%} interval {found.low:.3f} to {found.high:.3f} "
        f"over {found.n_sequences} drives{_level_text(found.level)}."
    )


def _level_text(level: float) -> str:
    return "" if level >= _FULL_LEVEL else " (so few drives cannot carry 95 %)"


def _cameras(groups: Mapping[str, GroupMeans]) -> Iterator[CaptionedTable]:
    for scale in ("metric", "median"):
        if scale in groups:
            table = means_table("camera", groups[scale].cameras, mean=groups[scale].mean)
            yield CaptionedTable(f"{scale}: {SCALES[scale]}.", table)


def _bands(groups: Mapping[str, GroupMeans]) -> Iterator[CaptionedTable]:
    found = {name: means for name, means in groups.items() if name.startswith(BAND) and means.n_pixels}
    rows = {name.removeprefix(BAND): means.mean for name, means in found.items()}
    if rows:
        yield CaptionedTable(
            "Errors over the pixels whose true depth lies in the band, metric:", means_table("band", rows)
        )


def _between(groups: Mapping[str, GroupMeans]) -> Iterator[CaptionedTable]:
    rows = {name: groups[name].mean for name in _BETWEEN if name in groups}
    if rows:
        caption = (
            "overlap: errors where two cameras see the same truth, as answered and after the median factor. "
            "consistency: the neighbour's distance from the vehicle held against the camera's own (which stands for "
            "the truth in the columns), as published; consistency+: the same without hidden points and own body."
        )
        yield CaptionedTable(caption, means_table("what", rows))


def _conditions(report: ScoreReport) -> Iterator[CaptionedTable]:
    for scale in ("metric", "median"):
        rows = {
            f"{word} ({_drives(report, word)})": groups[scale].mean
            for word, groups in report.by_condition.items()
            if scale in groups
        }
        if rows:
            yield CaptionedTable(f"{scale}, over the drives of a condition:", means_table("condition", rows))


def _drives(report: ScoreReport, word: str) -> str:
    return _count(sum(word in words for words in report.conditions.values()), "drive")


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _others(groups: Mapping[str, GroupMeans]) -> Iterator[CaptionedTable]:
    for name, means in groups.items():
        if name in SCALES or name in _BETWEEN or name.startswith(_CURVES):
            continue
        is_of_rig = tuple(means.cameras) == (RIG,)
        table = values_table(means.mean) if is_of_rig else means_table("camera", means.cameras, mean=means.mean)
        yield CaptionedTable(_OTHERS.get(name, f"{name}:"), table)


def _remarks(report: ScoreReport) -> Iterator[str]:
    coverage, metric = report.coverage, report.groups.get("metric")
    if not math.isnan(coverage) and coverage < 1.0:
        yield (
            f"Only {100 * coverage:.2f} % of the truth was answered; the errors are over that part. They cannot be "
            "held against a method that answers everywhere."
        )
    if metric is not None and metric.n_empty:
        policy = {
            "nan": "make every mean they enter NaN",
            "minus_one": "count as -1 where they have truth out of range",
            "skip": "are left out",
        }[report.origin.protocol.empty]
        yield f"{metric.n_empty} of {metric.n_units} images have no scored pixel; by this protocol they {policy}."
    yield from _remarks_on_samples(report)
    yield from _doubts(report)
    trained_on = report.origin.predictor.get("trained_on", "0")
    if not trained_on.startswith("0"):
        yield f"The checkpoint was trained on {trained_on}: these numbers say little about drives it has not seen."
    for lines, what in ((report.damage, "rows or samples left out, damaged"), (report.missing, "answers missing")):
        if lines:
            yield f"{len(lines)} {what}; the first: {lines[0]}"


def _remarks_on_samples(report: ScoreReport) -> Iterator[str]:
    protocol, listed = report.origin.protocol, int(report.origin.samples["n"])
    in_batches = len(report.share.results) * protocol.batch
    if in_batches < listed:
        yield (
            f"{listed - in_batches} of {listed} samples make no whole batch of {protocol.batch} and are not scored, as "
            "this protocol has it."
        )
    across = {record.index for record in report.records if BETWEEN_DRIVES in record.sequence}
    if across:
        yield (
            f"{len(across)} of {len(report.share.results)} batches reach over several drives: they count in every "
            "mean, but in no drive and no condition."
        )
    is_rendered = report.origin.dataset.get("rendered") or report.origin.dataset["kind"] == "synthetic"
    if protocol.name not in OWN_PROTOCOLS and (is_rendered or report.origin.truth_kind == "dense"):
        yield "No published number is over this data and truth: hold these numbers against each other only."


def _doubts(report: ScoreReport) -> Iterator[str]:
    """Say what most often means that a folder's numbers are not metres along the optical axis."""
    metric, factors = report.groups.get("metric"), report.groups.get("shared")
    if metric is None or factors is None or not metric.n_pixels:
        return
    factor, hits = factors.mean.get("ratio", math.nan), metric.mean.get("a1", math.nan)
    if not 1.0 / _DOUBTFUL_FACTOR < factor < _DOUBTFUL_FACTOR or hits < _DOUBTFUL_HITS:
        yield (
            f"The answers are off by a factor of about {factor:.3g}, and {hits:.1%} lie within 25 %: are they metres "
            "along the optical axis? Disparity, millimetres, scaled PNGs and relative depth look like this "
            "(docs/evaluate.md)."
        )
