"""One line of the GPU table: a way to run a network, opened, compared with torch fp32 on the CPU, and timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from surround_depth.benchmarks.gpu_nets import Net
from surround_depth.benchmarks.torch_runner import TORCH_MODES, TorchMode, TorchRunner
from surround_depth.export.parity import Rung, measure_parity
from surround_depth.inference.backend import Backend, NetworkInputs, open_backend
from surround_depth.inference.latency import DeviceTimes
from surround_depth.inference.manifest import Manifest, ParityRecord
from surround_depth.inference.onnxruntime_backend import CUDA_PROVIDER, OnnxRuntimeBackend, require_provider

WARM_UP_S = 0.2
MAX_ROW_S = 1.0
MIN_RUNS = 200
"""A row ends after its runs or after `MAX_ROW_S`, but never before these: with fewer a p99 means nothing."""
_MAX_NOTE = 240


@runtime_checkable
class DeviceTimed(Protocol):
    """A backend that says where its last frame's time went, by its device's clock, and how its kernels are launched."""

    @property
    def runs_as(self) -> str: ...

    def last_times(self) -> DeviceTimes: ...


@dataclass(frozen=True)
class Contender:
    """A way to run a network, by the name it has in the table."""

    name: str
    open: Callable[[Net], Backend]


@dataclass(frozen=True)
class Quantiles:
    """Of milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class RunTimes:
    """One contender's frames, one after another."""

    runs: int
    whole: Quantiles
    """Wall clock from numpy arrays to numpy arrays: both copies, the launch and the wait are in it."""
    engine: Quantiles | None
    """By the device's own clock, without the copies; None where it cannot be told apart."""
    copies_p50_ms: float | None
    """Upload and download together, by the device's clock."""
    sets_per_s: float


@dataclass(frozen=True)
class Row:
    """What became of one contender on one network."""

    net: str
    size: str
    contender: str
    times: RunTimes | None
    parity: ParityRecord | None
    note: str
    """How it ran, or why it did not."""


def torch_contenders(device: torch.device, modes: Sequence[TorchMode] = TORCH_MODES) -> tuple[Contender, ...]:
    """Return torch in these modes on this device."""

    def contender(mode: TorchMode) -> Contender:
        return Contender(f"torch {mode}", lambda net: TorchRunner(net.student, net.spec, device, mode))

    return tuple(map(contender, modes))


def onnxruntime_contender() -> Contender:
    """Return ONNX Runtime on the GPU, fp32, with the graph exported here."""
    return Contender("onnxruntime cuda fp32", _open_onnxruntime)


def engine_contender(directory: Path, manifest: Manifest) -> Contender:
    """Return the engine of a folder that `deploy/build_engine.py` wrote."""
    name = f"{manifest.engine} {manifest.precision} ({directory.name})"
    return Contender(name, lambda net: open_backend(directory))


def measure_row(net: Net, contender: Contender, runs: int) -> Row:
    """Return the contender's parity and times on a network; one that fails has the reason as its note."""
    parity: ParityRecord | None = None
    try:
        started = time.perf_counter()
        with contender.open(net) as backend:
            opened_s = time.perf_counter() - started
            rungs = (Rung("torch fp32 on the CPU", net.reference), Rung(contender.name, backend))
            parity = measure_parity(*rungs, net.inputs, net.frames.name)
            times = time_backend(backend, net.inputs[0], runs)
            runs_as = backend.runs_as if isinstance(backend, DeviceTimed) else "as the library likes"
    # a library that is missing, a plan that is not for this GPU, an operator that a compiler lacks: each raises a class
    # of its own, and none may cost the rest of the table
    except Exception as error:
        return Row(net.name, net.size, contender.name, None, parity, one_line(error))
    return Row(net.name, net.size, contender.name, times, parity, f"{runs_as}; ready after {opened_s:.1f} s")


def time_backend(backend: Backend, inputs: NetworkInputs, runs: int) -> RunTimes:
    """Run one frame again and again: `WARM_UP_S` uncounted, then `runs` times, or fewer as `MIN_RUNS` says."""
    until = time.perf_counter() + WARM_UP_S
    backend.infer(inputs)
    while time.perf_counter() < until:
        backend.infer(inputs)
    whole_ms: list[float] = []
    device: list[DeviceTimes] = []
    ends = time.perf_counter() + MAX_ROW_S
    while len(whole_ms) < runs and (len(whole_ms) < MIN_RUNS or time.perf_counter() < ends):
        started = time.perf_counter()
        backend.infer(inputs)
        whole_ms.append(1e3 * (time.perf_counter() - started))
        if isinstance(backend, DeviceTimed):
            device.append(backend.last_times())
    engine = quantiles([one.engine_ms for one in device]) if device else None
    copies = float(np.median([one.upload_ms + one.download_ms for one in device])) if device else None
    return RunTimes(len(whole_ms), quantiles(whole_ms), engine, copies, 1e3 / float(np.mean(whole_ms)))


def quantiles(values_ms: Sequence[float]) -> Quantiles:
    """Return p50, p95 and p99, linear between samples as numpy's."""
    p50, p95, p99 = np.percentile(values_ms, (50, 95, 99))
    return Quantiles(float(p50), float(p95), float(p99))


def one_line(error: BaseException) -> str:
    """Return an error as the note of a row."""
    text = " ".join(str(error).split()).replace("|", "/") or type(error).__name__
    return text if len(text) <= _MAX_NOTE else f"{text[:_MAX_NOTE]}..."


def _open_onnxruntime(net: Net) -> Backend:
    require_provider(CUDA_PROVIDER)  # before seconds of exporting
    from surround_depth.export.onnx_graph import export_onnx  # a host that only runs engines may be without onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        export_onnx(net.student, net.spec, path)
        return OnnxRuntimeBackend(path.read_bytes(), net.spec, provider=CUDA_PROVIDER)
