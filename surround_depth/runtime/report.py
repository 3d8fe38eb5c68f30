"""The numbers of a playback as JSON: what ran, how long each stage took, what was dropped, how wrong it was."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from typing import Any

import numpy as np

from surround_depth import __version__
from surround_depth.data.network_truth import TruthKind
from surround_depth.inference.backend import EngineSpec
from surround_depth.inference.latency import p99_text
from surround_depth.runtime.pacing import PlaybackOptions
from surround_depth.runtime.results import PlaybackResult


def playback_report(
    result: PlaybackResult, options: PlaybackOptions, spec: EngineSpec, source: dict[str, str]
) -> dict[str, Any]:
    """Return the report as plain values. `source` says what was played, for example dataset, scene and engine."""
    return {
        "source": source,
        "surround_depth": __version__,
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "engine": {
            "model_sha256": spec.model_hash,
            "input_px": [spec.input.height_px, spec.input.width_px],
            "n_cameras": spec.n_cameras,
            "depth_range_m": [spec.min_depth_m, spec.max_depth_m],
        },
        "playback": asdict(options),
        "frames": {"played": result.n_played, "dropped": result.n_dropped, "failed": result.n_failed},
        "first_failure": result.first_failure,
        "latency_ms": {
            stage: {key.removesuffix("_ms"): value for key, value in asdict(latency).items()}
            for stage, latency in result.latency.summary().items()
        },
        "cloud_points": {"median": float(np.median(result.n_points)) if result.n_points else 0.0},
        "error_lidar": _error(result, "lidar"),
        "error_dense_truth": _error(result, "dense"),
    }


def report_lines(report: dict[str, Any]) -> list[str]:
    """Return the report as a few lines for a terminal."""
    frames = report["frames"]
    lines = [f"frames   played {frames['played']}, dropped {frames['dropped']}, failed {frames['failed']}"]
    if report["first_failure"] is not None:
        lines.append(f"first failure: {report['first_failure']}")
    for stage, latency in report["latency_ms"].items():
        p99 = p99_text(latency["p99"], latency["count"])
        lines.append(f"{stage:8} p50 {latency['p50']:7.1f}   p95 {latency['p95']:7.1f}   p99 {p99:>7} ms")
    for label, key in (("LiDAR", "error_lidar"), ("dense truth", "error_dense_truth")):
        lines += _error_lines(label, report[key])
    return lines


def _error(result: PlaybackResult, kind: TruthKind) -> dict[str, object] | None:
    """Return the scores against one kind of truth, None where there was none."""
    board = result.scores.get(kind)
    return board.scores().as_dict() if board is not None and board.n_true else None


def _error_lines(label: str, error: dict[str, Any] | None) -> list[str]:
    if error is None:
        return [f"error against {label}: none recorded"]
    low_m, high_m = error["range_m"]
    lines = [f"error against {label}, {low_m:g} to {high_m:g} m, {100 * error['coverage']:.1f} % of it answered"]
    for name, errors in [*error["per_camera"].items(), ("mean", error["mean"])]:
        lines.append(
            f"  {name:18} AbsRel {errors['abs_rel']:.3f}   RMSE {errors['rmse']:6.2f} m   a1 {errors['a1']:.3f}"
        )
    return lines
