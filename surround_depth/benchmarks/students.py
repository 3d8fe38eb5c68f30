"""What each preset costs: parameters, multiplications, and the latency of its exported engine on this CPU."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from surround_depth.benchmarks.report import Report, Table, require_repeats
from surround_depth.benchmarks.roofline import count_macs
from surround_depth.export.benchmark import WARM_UP_S
from surround_depth.export.frames import network_inputs, random_frames
from surround_depth.export.onnx_graph import export_onnx
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec, NetworkInputs
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend
from surround_depth.models.config import BinConfig
from surround_depth.models.presets import Preset, student_preset
from surround_depth.models.student import MetricStudent, Student

PACKAGES = ("torch", "transformers", "onnx", "onnxruntime")
YARDSTICK: Preset = "nano"
"""Every preset is timed in turns with this one, and its latency is also given as a multiple of this one's."""


@dataclass(frozen=True)
class StudentCost:
    """One preset at one input size."""

    preset: str
    parameters: int
    macs: int  # multiply-accumulates of convolutions and matrix products, for one frame of all cameras
    graph_bytes: int  # of the ONNX file
    p50_ms: float
    p95_ms: float
    p50_of_yardstick: float  # p50_ms over the yardstick's in the same rounds


def engine_spec(input: InputSpec, n_cameras: int) -> EngineSpec:
    """Return what the engine of an untrained preset declares."""
    bins = BinConfig()
    return EngineSpec(input, n_cameras, bins.min_depth_m, bins.max_depth_m, model_hash="")


def measure(presets: Iterable[Preset], spec: EngineSpec, *, runs: int, threads: int) -> list[StudentCost]:
    """Return the cost of each preset, untrained: what an engine takes does not depend on its weights.

    Raises:
        ConfigError: no runs, or a preset that does not exist.
    """
    require_repeats("--runs", runs)
    presets = tuple(presets)
    for preset in presets:
        student_preset(preset)  # before minutes of measuring
    (frame,) = random_frames(spec, 1, dead_cameras=False).frames
    inputs = network_inputs(frame, spec.input)
    with tempfile.TemporaryDirectory() as folder, _engine(YARDSTICK, spec, Path(folder), threads) as yardstick:
        return [_measure_one(preset, spec, inputs, yardstick, Path(folder), runs) for preset in presets]


def students_report(costs: Iterable[StudentCost], spec: EngineSpec, *, runs: int, threads: int) -> Report:
    """Return the costs as a table for people and as plain values."""
    size = f"{spec.n_cameras} x {spec.input.height_px} x {spec.input.width_px}"
    head = ("preset", "parameters, M", "GMAC", "ONNX file, MB", "p50, ms", "p95, ms", f"p50 / {YARDSTICK}'s")
    rows = tuple(
        (
            cost.preset,
            f"{cost.parameters / 1e6:.2f}",
            f"{cost.macs / 1e9:.1f}",
            f"{cost.graph_bytes / 1e6:.1f}",
            f"{cost.p50_ms:.0f}",
            f"{cost.p95_ms:.0f}",
            f"{cost.p50_of_yardstick:.2f}",
        )
        for cost in costs
    )
    meaning = (
        f"One frame of {size}, fp32, ONNX Runtime on the CPU with {threads} threads, the engine alone. {runs} runs "
        f"each after at least {WARM_UP_S:g} s of warm-up, in turns with {YARDSTICK}, so that a busy machine is "
        "unkind to both. GMAC are the multiply-accumulates of convolutions and matrix products for the frame, by "
        "torch.utils.flop_counter (half of its operations). They leave out the softmax over the bins and the "
        "upsampling, which take the same time in every preset. The students are untrained: this table says nothing "
        "about accuracy."
    )
    figures = {"input": size, "runs": runs, "threads": threads, "students": [asdict(cost) for cost in costs]}
    return Report("students", "What the presets cost", (Table(head, rows), meaning), figures)


@contextmanager
def _engine(preset: Preset, spec: EngineSpec, folder: Path, threads: int) -> Iterator[OnnxRuntimeBackend]:
    path = folder / f"{preset}.onnx"
    if not path.exists():
        export_onnx(Student(student_preset(preset)), spec, path)
    with OnnxRuntimeBackend(path.read_bytes(), spec, threads=threads) as backend:
        yield backend


def _measure_one(
    preset: Preset, spec: EngineSpec, inputs: NetworkInputs, yardstick: OnnxRuntimeBackend, folder: Path, runs: int
) -> StudentCost:
    with _engine(preset, spec, folder, yardstick.threads) as engine:
        _warm_up(engine, inputs)
        _warm_up(yardstick, inputs)
        own_ms, yardstick_ms = np.array([(_ms(engine, inputs), _ms(yardstick, inputs)) for _ in range(runs)]).T
    student = Student(student_preset(preset)).eval()
    p50_ms, p95_ms = np.percentile(own_ms, (50, 95))
    return StudentCost(
        preset=preset,
        parameters=sum(parameter.numel() for parameter in student.parameters()),
        macs=count_macs(MetricStudent(student), map(torch.from_numpy, inputs.as_feeds().values())),
        graph_bytes=(folder / f"{preset}.onnx").stat().st_size,
        p50_ms=float(p50_ms),
        p95_ms=float(p95_ms),
        p50_of_yardstick=float(p50_ms / np.median(yardstick_ms)),
    )


def _warm_up(engine: OnnxRuntimeBackend, inputs: NetworkInputs) -> None:
    until = time.monotonic() + WARM_UP_S
    engine.infer(inputs)
    while time.monotonic() < until:
        engine.infer(inputs)


def _ms(engine: OnnxRuntimeBackend, inputs: NetworkInputs) -> float:
    started = time.perf_counter()
    engine.infer(inputs)
    return 1e3 * (time.perf_counter() - started)
