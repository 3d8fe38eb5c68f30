"""How the students of a study learnt: a page with the loss and the validation error of each row over the steps."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from surround_depth.evaluation.charts import Points, line_chart
from surround_depth.studies.config import StudyConfig
from surround_depth.studies.run import Run, is_trained, runs_of

N_BLOCKS = 30
"""Of steps: the loss of single steps is mostly the luck of their streets."""
_LOSS_FILE, _VALIDATION_FILE = "loss_curve.jsonl", "metrics.json"


def curves_page(study: StudyConfig, out: Path) -> str:
    """Return the page of what lies in the study's folder."""
    trained = {row: [run for run in runs_of(study, out, [row]) if is_trained(run)] for row in study.rows}
    sections = [_section(study, row, trained) for row in study.rows if trained[row]]
    template = Template(resources.files(__package__).joinpath("curves.html").read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(f"Study {study.name}: curves"), rows="\n".join(sections))


def _section(study: StudyConfig, row: str, trained: dict[str, list[Run]]) -> str:
    names = dict.fromkeys((row, *study.others(row)[:1]))
    shown = {name: trained[name] for name in names if trained[name]}
    losses = {name: mean_curve([_losses(run) for run in runs]) for name, runs in shown.items()}
    errors = {name: mean_curve([_errors(run) for run in runs]) for name, runs in shown.items()}
    title = html.escape(f"{row}: {study.rows[row].what}")
    charts = line_chart(losses, "step", "LiDAR loss") + line_chart(errors, "step", "AbsRel")
    return f'<section class="row"><h2>{title}</h2>{charts}</section>'


def blocks(points: Points, n_blocks: int = N_BLOCKS) -> list[tuple[float, float]]:
    """Return (last step, mean value) of up to `n_blocks` blocks of equal length; a rest at the end is left out."""
    length = max(1, len(points) // n_blocks)
    starts = range(0, len(points) - length + 1, length)
    return [(points[i + length - 1][0], float(np.mean([y for _, y in points[i : i + length]]))) for i in starts]


def mean_curve(curves: Sequence[Points]) -> list[tuple[float, float]]:
    """Return the mean over curves at every step that all of them have."""
    by_step = [dict(curve) for curve in curves]
    steps = set.intersection(*(set(curve) for curve in by_step)) if by_step else set()
    return [(step, float(np.mean([curve[step] for curve in by_step]))) for step in sorted(steps)]


def _losses(run: Run) -> list[tuple[float, float]]:
    path = run.folder / _LOSS_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return blocks(_points((json.loads(line) for line in lines), "terms", "silog"))


def _errors(run: Run) -> list[tuple[float, float]]:
    path = run.folder / _VALIDATION_FILE
    return _points(json.loads(path.read_text(encoding="utf-8")) if path.is_file() else [], "dense", "abs_rel")


def _points(entries: Iterable[dict[str, Any]], group: str, name: str) -> list[tuple[float, float]]:
    return [(e["step"], e[group][name]) for e in entries if e.get(group, {}).get(name) is not None]
