"""What `check_parity.py` leaves: the ladder as Markdown, JSON and a page that shows where in a picture rungs differ."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surround_depth.export.frames import ProofFrames
from surround_depth.export.machine import describe_machine, engine_versions
from surround_depth.export.parity import PARITY_BOUNDS, parity_table
from surround_depth.export.parity_ladder import ProvenRung
from surround_depth.files import write_atomic
from surround_depth.imaging import InputSpec, encode_jpeg
from surround_depth.viz.colors import DepthScale, color_depth, hatch, turbo
from surround_depth.viz.drawing import Picture, canvas, draw_label, paste

FULL_COLOUR_DIFFERENCE = 0.05
"""Relative difference of depth at which the colour is full."""
_GAP_PX = 4
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;background:#111317;color:#e8ebf0;margin:2rem}"
    "table{border-collapse:collapse}td,th{padding:.3rem .7rem;border-bottom:1px solid #333;text-align:right}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%}.over{color:#ff8a7a}p{max-width:60rem}"
)


def write_parity_report(folder: Path, rungs: Sequence[ProvenRung], frames: ProofFrames, spec: InputSpec) -> None:
    """Write parity.md, parity.json and parity.html (one file, works offline) to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [rung.record for rung in rungs]
    verdicts = "".join(f"\nover its bound: {rung.failure}\n" for rung in rungs if rung.failure is not None)
    write_atomic(folder / "parity.md", f"{parity_table(records)}\n{verdicts}".encode())
    report = {
        "rungs": [
            rung.record.model_dump()
            | {"precision": rung.precision, "bound": vars(PARITY_BOUNDS[rung.precision])}
            | {"failure": rung.failure, "worst_frame": frames.frames[rung.worst_frame].frame_id}
            for rung in rungs
        ],
        "machine": describe_machine(),
        "versions": engine_versions(),
    }
    write_atomic(folder / "parity.json", (json.dumps(report, indent=2) + "\n").encode())
    write_atomic(folder / "parity.html", _page(rungs, frames, spec).encode())


def _page(rungs: Sequence[ProvenRung], frames: ProofFrames, spec: InputSpec) -> str:
    sections = []
    for rung in rungs:
        frame = frames.frames[rung.worst_frame]
        data = base64.b64encode(encode_jpeg(draw_difference(rung, frames, spec), quality=88)).decode()
        verdict = f'<p class="over">{html.escape(rung.failure)}</p>' if rung.failure is not None else ""
        sections.append(
            f"<h2>{html.escape(rung.record.candidate)}</h2>{verdict}"
            f"<p>Frame {html.escape(frame.frame_id)}, where it is furthest off.</p>"
            f'<img alt="picture, depth and difference per camera" src="data:image/jpeg;base64,{data}">'
        )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Parity</title><style>{_STYLE}</style>'
        f"<h1>Parity</h1>{_table(rungs)}<p>Per camera: the picture, the depth of torch fp32, and |difference| / depth, "
        f"dark blue 0, red {FULL_COLOUR_DIFFERENCE:.0%} and more; stripes where the pixel does not count (camera dead, "
        f"or depth at an end of its range).</p>{''.join(sections)}</html>\n"
    )


def _table(rungs: Sequence[ProvenRung]) -> str:
    head, _, *body = (
        [html.escape(cell.strip()) for cell in line.strip("|").split("|")]
        for line in parity_table([rung.record for rung in rungs]).splitlines()
    )
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
    return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{rows}</table>"


def draw_difference(rung: ProvenRung, frames: ProofFrames, spec: InputSpec) -> Picture:
    """Return rows of picture, depth of torch fp32 and relative difference [.., .., 3], one column per camera."""
    frame, images = frames.frames[rung.worst_frame], frames.network_inputs(spec)[rung.worst_frame].images
    expected_m, got_m, counted = rung.worst.expected.depth_m, rung.worst.got.depth_m, rung.worst.counted
    n, height_px, width_px = expected_m.shape
    no_sky = np.zeros((height_px, width_px), np.bool_)  # a depth as any other here
    picture = canvas(3 * (height_px + _GAP_PX), n * (width_px + _GAP_PX))
    for i, name in enumerate(frame.rig.names):
        alive = np.full((height_px, width_px), bool(frame.camera_valid[i]))
        cells = {
            name: images[i],
            "torch fp32": color_depth(expected_m[i], alive, no_sky, DepthScale()),
            f"|{rung.record.candidate} - torch fp32|": _color_difference(got_m[i], expected_m[i], counted[i]),
        }
        for row, (title, cell) in enumerate(cells.items()):
            left_px, top_px = i * (width_px + _GAP_PX), row * (height_px + _GAP_PX)
            paste(picture, cell, left_px, top_px)
            draw_label(picture, title, left_px, top_px)
    return picture


def _color_difference(
    got_m: NDArray[np.float32], expected_m: NDArray[np.float32], counted: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    picture = hatch(*counted.shape)
    relative = np.abs(got_m[counted] - expected_m[counted]) / expected_m[counted]
    picture[counted] = turbo(relative / FULL_COLOUR_DIFFERENCE)
    return picture
