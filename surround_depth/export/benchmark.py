"""How fast an engine is on this machine, told so that it holds: warm-up, every stage counted, percentiles, machine."""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from surround_depth.errors import ConfigError
from surround_depth.export.energy import EnergyMeter, energy_text
from surround_depth.export.frames import ProofFrames, encode_frame
from surround_depth.export.machine import describe_machine, engine_versions
from surround_depth.frame import PointCloud, SurroundDepth
from surround_depth.fusion import fuse
from surround_depth.inference.backend import Backend
from surround_depth.inference.latency import LatencyRecorder, StageLatency, p99_text
from surround_depth.inference.manifest import Manifest
from surround_depth.inference.pipeline import SurroundDepthPipeline

WARM_UP_S = 0.2
"""At least this long before anything counts: caches, thread pools and clocks settle (tensorrt.md, 4)."""
MIN_RUNS = 20
KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Measurement:
    """One engine, one machine, one table."""

    engine: str
    precision: str
    model_sha256: str
    n_cameras: int
    height_px: int
    width_px: int
    threads: str
    frames: str
    n_runs: int
    stages: dict[str, StageLatency]
    """Of the whole chain, in the order they run; "whole" is the wall clock around all of them."""
    engine_alone: StageLatency
    """`backend.infer` on ready inputs, nothing else running."""
    joules_per_frame: float | None
    """Of the CPU packages, over the runs of the whole chain; None where Linux does not let it be read."""
    peak_memory_mib: float
    """The most memory that the process held so far: interpreter, engine, fusion and the frames of this measurement."""
    machine: dict[str, str]
    versions: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`."""
        return asdict(self)


def measure_engine(
    backend: Backend, manifest: Manifest, frames: ProofFrames, *, n_runs: int, threads: str
) -> Measurement:
    """Return the latency of the engine alone, and of the whole chain: decode and resize, infer, validity, fuse.

    Frames enter as JPEGs, as a camera or a recording delivers them, one after another: nothing overlaps, so a stage's
    time is its own; what overlapping makes of it is measured in `benchmarks.rates`. Random frames fuse nearly every
    pixel; a street fuses fewer.

    Raises:
        ConfigError: too few runs for a percentile to mean something.
    """
    if n_runs < MIN_RUNS:
        raise ConfigError(f"runs: {n_runs} is too few for percentiles; use at least {MIN_RUNS}")
    alone = _engine_alone(backend, frames, n_runs)
    stages, joules_per_frame = _whole_chain(backend, frames, n_runs)
    return Measurement(
        engine=manifest.engine,
        precision=manifest.precision,
        model_sha256=manifest.engine_file.sha256,
        n_cameras=manifest.n_cameras,
        height_px=manifest.input.height_px,
        width_px=manifest.input.width_px,
        threads=threads,
        frames=frames.name,
        n_runs=n_runs,
        stages=stages,
        engine_alone=alone,
        joules_per_frame=joules_per_frame,
        peak_memory_mib=peak_memory_mib(),
        machine=describe_machine(),
        versions=engine_versions(),
    )


def markdown_table(measurement: Measurement) -> str:
    """Return the measurement as a Markdown section with the machine under the table."""
    m = measurement
    rows = [("engine alone", m.engine_alone), *m.stages.items()]
    lines = [
        f"### {m.engine} {m.precision}, {m.n_cameras} x {m.height_px} x {m.width_px}, {m.threads} threads",
        "",
        "| stage | p50 ms | p90 ms | p95 ms | p99 ms | max ms |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {s.p50_ms:.1f} | {s.p90_ms:.1f} | {s.p95_ms:.1f} "
            f"| {p99_text(s.p99_ms, s.count)} | {s.max_ms:.1f} |"
            for name, s in rows
        ),
        "",
        f"{m.n_runs} runs after warm-up, {m.frames}; at most {m.peak_memory_mib:.0f} MiB of memory; "
        f"energy of the CPU packages, J per frame: {energy_text(m.joules_per_frame)}. "
        f"{m.machine['cpu']}, {m.machine['cores']} cores, GPU {m.machine['gpu']}; "
        + ", ".join(f"{name} {version}" for name, version in m.versions.items())
        + f"; commit {m.machine['commit']}, model {m.model_sha256[:12]}.",
    ]
    return "\n".join(lines)


def peak_memory_mib() -> float:
    """Return the most memory that the process held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


def warm_up(run: Callable[[int], object], n_frames: int) -> None:
    """Run every frame, by its index, once, then go round until `WARM_UP_S` have passed."""
    until = time.monotonic() + WARM_UP_S
    for index in itertools.count():
        if index >= n_frames and time.monotonic() >= until:
            return
        run(index % n_frames)


def _engine_alone(backend: Backend, frames: ProofFrames, n_runs: int) -> StageLatency:
    inputs = frames.network_inputs(backend.spec.input)
    recorder = LatencyRecorder(window=n_runs)
    warm_up(lambda index: backend.infer(inputs[index]), len(inputs))
    for run in range(n_runs):
        with recorder.stage("engine"):
            backend.infer(inputs[run % len(inputs)])
    return recorder.summary()["engine"]


def fuse_all(depth: SurroundDepth) -> PointCloud:
    """Return the cloud of all valid pixels, whatever their confidence: the slow case of `fuse`."""
    return fuse(depth, min_confidence=0.0)


def _whole_chain(backend: Backend, frames: ProofFrames, n_runs: int) -> tuple[dict[str, StageLatency], float | None]:
    """Run JPEGs to fused clouds, one frame after another; return the stages, "whole" around them, and J per frame."""
    encoded = [encode_frame(frame) for frame in frames.frames]
    pipeline = SurroundDepthPipeline(backend, encoded[0].rig)

    def run(index: int) -> None:
        depth = pipeline(encoded[index % len(encoded)])
        with pipeline.latency.stage("fuse"):
            fuse_all(depth)

    warm_up(run, len(encoded))  # fusion loops are compiled, the rig's tables are filled
    pipeline.latency = LatencyRecorder(window=n_runs)
    meter = EnergyMeter.start()
    for index in range(n_runs):
        with pipeline.latency.stage("whole"):
            run(index)
    summary = pipeline.latency.summary()
    return {name: summary[name] for name in sorted(summary, key="whole".__eq__)}, meter.joules_per_frame(n_runs)
