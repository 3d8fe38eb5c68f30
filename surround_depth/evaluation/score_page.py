"""The page of an evaluation: one HTML file that works offline, with tables, curves, and the worst and best frames."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from string import Template

import numpy as np

from surround_depth.evaluation.charts import bar_chart, line_chart
from surround_depth.evaluation.frame_pictures import draw_moment
from surround_depth.evaluation.moment import ListedSample
from surround_depth.evaluation.protocol_run import Evaluator
from surround_depth.evaluation.score_report import ScoreReport
from surround_depth.evaluation.score_sections import BAND, RELIABILITY, headline, provenance, remarks, sections
from surround_depth.evaluation.tables import CaptionedTable, Table
from surround_depth.imaging import encode_jpeg
from surround_depth.metrics.records import Record

_MOST_DRIVES = 24
_JPEG_QUALITY = 84
_KEPT_SHARE = 0.98  # of the cumulative curve: a few images far off would squeeze it
_CUT_TEXT = "; the worst 2 % lie beyond the chart."


def score_page(
    report: ScoreReport,
    evaluator: Evaluator,
    samples: Sequence[ListedSample],
    *,
    n_frames: int = 3,
    compared: CaptionedTable | None = None,
) -> str:
    """Return the page.

    Args:
        evaluator: what made the records; it answers again for the few frames that are shown.
        samples: the scored list.
        n_frames: how many of the worst and of the best frames are shown.
        compared: a comparison with another method, if there is one.

    Raises:
        DataError: a frame that was scored cannot be read any more.
    """
    ranked = ranked_frames(report.records)
    worst, best = ranked[:n_frames], ranked[::-1][: min(n_frames, max(0, len(ranked) - n_frames))]
    tables = [(section.title, section.tables) for section in sections(report)]
    if compared is not None:
        tables.insert(1, ("Compared", (compared,)))
    facts = Table(("what", "which"), tuple(provenance(report).items()))
    template = Template(resources.files(__package__).joinpath("score_page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=html.escape(f"{report.origin.predictor['name']}: {report.origin.protocol.name}"),
        subtitle=html.escape(headline(report)),
        tiles="".join(_tile(what, number) for what, number in _tiles(report)),
        remarks="".join(f"<li>{html.escape(remark)}</li>" for remark in remarks(report)),
        charts="\n".join(_chart(caption, svg) for caption, svg in charts(report)),
        tables="\n".join(f"<h2>{html.escape(title)}</h2>{''.join(map(_table, found))}" for title, found in tables),
        worst="\n".join(_frame(report, evaluator, samples[index]) for index in worst),
        best="\n".join(_frame(report, evaluator, samples[index]) for index in best),
        provenance=_table(CaptionedTable("Hashes are SHA-256.", facts)),
    )


def ranked_frames(records: Sequence[Record]) -> list[int]:
    """Return places in the sample list, largest metric AbsRel (mean over cameras) first; empty units left out."""
    errors: dict[int, list[float]] = {}
    for record in records:
        if record.group == "metric" and record.n_pixels > 0:
            errors.setdefault(record.index, []).append(record.values["abs_rel"])
    return sorted(errors, key=lambda index: (-float(np.mean(errors[index])), index))


def charts(report: ScoreReport) -> Iterator[tuple[str, str]]:
    """Yield (caption, SVG) of every curve that the records hold."""
    groups, records = report.groups, report.records
    bands = {
        name.removeprefix(BAND): means.mean["abs_rel"]
        for name, means in groups.items()
        if name.startswith(BAND) and means.n_pixels
    }
    if bands:
        yield "AbsRel by true distance, metric.", bar_chart(bands, "AbsRel")
    scales: list[str] = [scale for scale in ("metric", "median", "shared") if scale in groups]
    cut = any(math.ceil(_KEPT_SHARE * m.n_units) < m.n_units for name, m in groups.items() if name in scales)
    cumulative = {scale: share_below(records, scale) for scale in scales}
    yield (
        "Share of all images whose AbsRel is at most the value below" + (_CUT_TEXT if cut else "."),
        line_chart(cumulative, "AbsRel of an image", "share of images"),
    )
    drives = drive_errors(records)
    if len(drives) > 1:
        shown = dict(list(drives.items())[:_MOST_DRIVES])
        others = f"; the worst {len(shown)} of {len(drives)}" if len(drives) > len(shown) else ""
        yield f"AbsRel by drive, metric, worst first{others}.", bar_chart(shown, "AbsRel")
    if "metric" in groups:
        cameras = {name: values.get("abs_rel", math.nan) for name, values in groups["metric"].cameras.items()}
        yield "AbsRel by camera, metric.", bar_chart(cameras, "AbsRel")
    yield from _confidence_charts(report)


def _confidence_charts(report: ScoreReport) -> Iterator[tuple[str, str]]:
    if "sparsification" in report.groups:
        mean = report.groups["sparsification"].mean
        orders = {"by_confidence": "least confident first", "by_error": "worst first"}
        curves = {
            words: [(float(name.rsplit("_", 1)[1]), value) for name, value in mean.items() if name.startswith(order)]
            for order, words in orders.items()
        }
        yield (
            "AbsRel of what is left when a share of the pixels is taken away. No confidence can do better than taking "
            "the worst first.",
            line_chart(curves, "share taken away", "AbsRel of the rest"),
        )
    curve = reliability_curve(report.records)
    if curve:
        yield (
            "How often a depth lies within a factor of 1.25 of the truth, over its confidence; dashed: honest.",
            line_chart({"hit rate": curve}, "confidence", "share of hits", diagonal=True),
        )


def reliability_curve(records: Sequence[Record]) -> list[tuple[float, float]]:
    """Return (mean confidence, hit rate) of every bin that has pixels, pooled over all moments."""
    bins: dict[str, list[Record]] = {}
    for record in records:
        if record.group.startswith(RELIABILITY) and record.n_pixels > 0:
            bins.setdefault(record.group, []).append(record)
    pooled = []
    for _, members in sorted(bins.items()):
        weights = [record.n_pixels for record in members]
        means = [np.average([r.values[name] for r in members], weights=weights) for name in ("confidence", "hit_rate")]
        pooled.append((float(means[0]), float(means[1])))
    return pooled


def share_below(records: Sequence[Record], group: str) -> list[tuple[float, float]]:
    """Return (AbsRel, share of the units with at most that) of every unit, ascending; the largest 2 % are cut off."""
    values = sorted(r.values["abs_rel"] for r in records if r.group == group and r.n_pixels > 0)
    kept = values[: math.ceil(_KEPT_SHARE * len(values))]
    return [(value, (i + 1) / len(values)) for i, value in enumerate(kept)]


def drive_errors(records: Sequence[Record]) -> dict[str, float]:
    """Return drive -> metric AbsRel, the mean over units per camera, then over cameras; the worst drive first."""
    found: dict[str, dict[str, list[float]]] = {}
    for record in records:
        if record.group == "metric" and record.n_pixels > 0:
            cameras = found.setdefault(record.sequence, {})
            cameras.setdefault(record.camera, []).append(record.values["abs_rel"])
    means = {drive: float(np.mean([np.mean(v) for v in cameras.values()])) for drive, cameras in found.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _tiles(report: ScoreReport) -> Iterator[tuple[str, str]]:
    for scale, words in (("metric", "AbsRel, metric"), ("median", "AbsRel after median scaling")):
        if scale in report.groups:
            yield words, _number(report.groups[scale].mean, "abs_rel", ".3f")
    if "metric" in report.groups:
        mean = report.groups["metric"].mean
        yield "of the pixels within a factor of 1.25, metric", _number(mean, "a1", ".1%")
        yield "RMSE in metres, metric", _number(mean, "rmse", ".2f")
        yield "of the truth answered: the errors are over that part", _number(mean, "coverage", ".1%")


def _number(values: Mapping[str, float], name: str, form: str) -> str:
    value = values.get(name, math.nan)
    return "–" if math.isnan(value) else format(value, form)


def _frame(report: ScoreReport, evaluator: Evaluator, listed: ListedSample) -> str:
    """Return one moment as a figure with its picture inside."""
    moment = evaluator.moment(listed)
    errors = {
        r.camera: r.values["abs_rel"]
        for r in report.records
        if r.group == "metric" and r.index == listed.index and r.n_pixels > 0
    }
    picture = draw_moment(moment, {camera: f"{value:.3f}" for camera, value in errors.items()})
    jpeg = base64.b64encode(encode_jpeg(picture, _JPEG_QUALITY)).decode("ascii")
    caption = html.escape(
        f"{listed.sequence.name}, sample {listed.position} (frame {moment.sample.frame.frame_id}): "
        f"AbsRel {float(np.mean(list(errors.values()))):.3f}"
    )
    source = f"data:image/jpeg;base64,{jpeg}"
    return f'<figure><img src="{source}" alt="{caption}" loading="lazy"><figcaption>{caption}</figcaption></figure>'


def _tile(what: str, number: str) -> str:
    return f'<div class="tile"><b>{html.escape(number)}</b><span>{html.escape(what)}</span></div>'


def _chart(caption: str, svg: str) -> str:
    return f'<figure class="chart">{svg}<figcaption>{html.escape(caption)}</figcaption></figure>'


def _table(captioned: CaptionedTable) -> str:
    return f'<p>{html.escape(captioned.caption)}</p><div class="scroll">{captioned.table.html()}</div>'
