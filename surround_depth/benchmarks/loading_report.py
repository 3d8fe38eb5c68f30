"""The loading benchmark in words: tables of rates and one of stages."""

from __future__ import annotations

from dataclasses import asdict

from surround_depth.benchmarks.loading import (
    AS_GRAPH_TAKES_IT,
    LIKE_FOR_LIKE,
    N_ROUNDS,
    N_WORKERS,
    RESEARCH,
    LoadingComparison,
    LoadingRate,
    ratio,
)
from surround_depth.benchmarks.report import Report, Table
from surround_depth.imaging import InputSpec

AIM_RATIO = 3.0


def loading_report(comparison: LoadingComparison, spec: InputSpec, source: str) -> Report:
    """Return the comparison in words; `source` says what was loaded."""
    size = f"{spec.height_px}x{spec.width_px}"
    loaded = (
        f"{source}: {comparison.n_cameras} JPEGs, {comparison.jpeg_bytes / 1000:.0f} kB together, "
        f"{comparison.n_points:,} LiDAR points, to {comparison.n_cameras} x {size}. {comparison.n_samples} samples "
        f"each way in one process, in turns; with workers {N_ROUNDS} rounds of {2 * comparison.n_samples} each way, in "
        "turns; medians; one thread each, nothing kept."
    )
    stages = Table(
        ("where our time goes, one process", "CPU ms per sample"),
        tuple((stage, f"{ms:.1f}") for stage, ms in comparison.stages_ms.items()),
    )
    meaning = (
        "Like for like is the same two tensors out of the same files: images float32 [N, 3, H, W] and LiDAR depth "
        "float32 [N, H, W]. Our training takes bytes, which the graph turns into floats, and LiDAR as a list of "
        "points; rays, masks and poses come with them. Our loader also tests the LiDAR for occlusion, which the "
        "research loader does not. With workers every sample also travels to the main process, through shared "
        "memory, whose cost goes by its size. A core's rate is one over the CPU time of a sample. The stages are "
        "measured under a profiler, which adds a few per cent."
    )
    figures = {
        "source": source,
        "input": size,
        **asdict(comparison),
        "ratios": {
            "one_process": _ratios(comparison.alone),
            "workers": _ratios(comparison.workers),
            "aim_like_for_like": AIM_RATIO,
        },
    }
    blocks = (
        loaded,
        _verdict("In one process", comparison.alone),
        _verdict(f"With {N_WORKERS} workers", comparison.workers),
        _rates("one process", comparison.alone),
        _rates(f"{N_WORKERS} workers", comparison.workers),
        stages,
        meaning,
    )
    return Report("loading", "Loading for training", blocks, figures)


def _ratios(rates: tuple[LoadingRate, ...]) -> dict[str, float]:
    return {rate.name: ratio(rates, rate.name) for rate in rates if rate.name != RESEARCH}


def _verdict(where: str, rates: tuple[LoadingRate, ...]) -> str:
    like_for_like = ratio(rates, LIKE_FOR_LIKE)
    outcome = "reached" if like_for_like >= AIM_RATIO else "missed"
    return (
        f"{where} a core loads **{like_for_like:.2f} times** as many samples as the research loader, like for like "
        f"(aim {AIM_RATIO:g}: {outcome}); {ratio(rates, AS_GRAPH_TAKES_IT):.2f} times as our graph takes them, uint8."
    )


def _rates(where: str, rates: tuple[LoadingRate, ...]) -> Table:
    return Table(
        (where, "samples/s per core", "CPU ms", "wall ms", "MB handed out", "times research"),
        tuple(
            (
                rate.name,
                f"{rate.samples_per_core_s:.1f}",
                f"{1e3 * rate.cpu_s:.1f}",
                f"{1e3 * rate.wall_s:.1f}",
                f"{rate.sample_bytes / 1e6:.1f}",
                f"{ratio(rates, rate.name):.2f}",
            )
            for rate in rates
        ),
    )
