"""The loading benchmark in words: one table of rates, one of stages."""

from __future__ import annotations

import os
import platform
from typing import Any

from surround_depth.provenance import command_line, package_versions, source_commit
from surround_depth.training.loading_benchmark import N_WORKERS, LoadingRate, LoadingReport

AIM_RATIO = 3.0


def describe_machine() -> dict[str, Any]:
    """Return what a reader needs to repeat the run."""
    return {
        "command": command_line(),
        "commit": source_commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} logical cores, load {os.getloadavg()[0]:.1f} at the start",
        "packages": package_versions(("numpy", "opencv-python-headless", "simplejpeg", "numba", "torch", "pillow")),
    }


def markdown(report: LoadingReport, origin: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    packages = ", ".join(f"{name} {version}" for name, version in origin["packages"].items())
    lines = [
        "# Loading for training",
        "",
        f"{origin['source']}: 6 JPEGs, {report.image_bytes / 1000:.0f} kB together, {report.n_points} LiDAR points, to "
        f"6 x {origin['input']}. {report.n_samples} samples each way, in turns, one thread each, nothing kept.",
        "",
        f"In one process a core loads {_verdict(report.ratio(report.alone))}; with {N_WORKERS} workers "
        f"{_verdict(report.ratio(report.workers))}.",
        "",
        "| one process | samples/s per core | CPU ms | wall ms |",
        "|---|---:|---:|---:|",
        *map(_row, report.alone),
        "",
        f"| {N_WORKERS} workers | samples/s per core | CPU ms | wall ms |",
        "|---|---:|---:|---:|",
        *map(_row, report.workers),
        "",
        "| where our time goes | CPU ms per sample |",
        "|---|---:|",
        *(f"| {stage} | {ms:.1f} |" for stage, ms in report.stages_ms.items()),
        "",
        "Our loader also tests the LiDAR for occlusion, which the research loader does not. It hands out bytes: the "
        "graph turns them into floats. With workers every sample also travels to the main process, through shared "
        "memory, whose cost goes by its size: 8 MB of ours, 22 MB of the research loader's.",
        "",
        f"`{origin['command']}` at {origin['commit']}; {origin['machine']}; {packages}.",
        "",
    ]
    return "\n".join(lines)


def _verdict(ratio: float) -> str:
    outcome = "reached" if ratio >= AIM_RATIO else "missed"
    return f"**{ratio:.1f} times** as many samples as the research loader (aim {AIM_RATIO:g}: {outcome})"


def _row(rate: LoadingRate) -> str:
    return f"| {rate.name} | {rate.samples_per_core_s:.1f} | {1e3 * rate.cpu_s:.1f} | {1e3 * rate.wall_s:.1f} |"
