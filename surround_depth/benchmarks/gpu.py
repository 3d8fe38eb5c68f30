"""The GPU table: every way to run a student on one device, in metres and milliseconds, beside what the device could do.

Each line has its accuracy beside its latency. Nothing here needs a GPU but what is measured on one: with device "cpu"
the eager lines run, and the others say why they did not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from surround_depth.benchmarks.gpu_nets import Net, checkpoint_net, preset_net
from surround_depth.benchmarks.gpu_rows import (
    Contender,
    Row,
    engine_contender,
    measure_row,
    onnxruntime_contender,
    torch_contenders,
)
from surround_depth.benchmarks.report import require_repeats
from surround_depth.benchmarks.roofline import Ceilings, floor_ms, measure_ceilings, trace_operations
from surround_depth.errors import MissingDependencyError
from surround_depth.export.checkpoint import TrainedStudent
from surround_depth.imaging import InputSpec
from surround_depth.inference.manifest import Manifest
from surround_depth.models.half import HalfStudent
from surround_depth.models.presets import Preset
from surround_depth.models.student import MetricStudent

PACKAGES = ("torch", "triton", "onnxruntime", "tensorrt", "tensorrt-rtx", "cuda-bindings", "transformers", "numpy")


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    nets: Sequence[tuple[Preset, InputSpec]]
    n_cameras: int
    checkpoints: Sequence[TrainedStudent]
    engines: Sequence[tuple[Path, Manifest]]
    runs: int
    device: torch.device


@dataclass(frozen=True)
class NetCost:
    """What one network is, and the least time that its half-precision form takes on this device."""

    net: str
    size: str
    weights: str
    parameters: int
    flops: int
    n_bytes: int
    floor_ms: float


@dataclass(frozen=True)
class GpuTable:
    """All that was found."""

    device: str
    ceilings: Ceilings
    nets: tuple[NetCost, ...]
    rows: tuple[Row, ...]

    def floor_ms(self, row: Row) -> float | None:
        """Return the floor of the row's network, None where there was no network to count."""
        return next((net.floor_ms for net in self.nets if (net.net, net.size) == (row.net, row.size)), None)


def measure(plan: Plan, on_row: Callable[[Row], None]) -> GpuTable:
    """Measure every contender on every network, one after another; `on_row` sees each line as it is found.

    Raises:
        ConfigError: no runs, or a preset that does not exist.
        MissingDependencyError: the device is not there.
    """
    require_repeats("--runs", plan.runs)
    _require_device(plan.device)
    nets = [preset_net(preset, size, plan.n_cameras, plan.checkpoints) for preset, size in plan.nets]
    entries = [_engine_entry(directory, manifest, nets, plan.checkpoints) for directory, manifest in plan.engines]
    everywhere = (*torch_contenders(plan.device), onnxruntime_contender())
    with _exact_float32(plan.device):
        ceilings = _ceilings(plan.device)
        costs = tuple(net_cost(net, ceilings) for net in nets)
        rows = []
        for row in _rows(nets, everywhere, entries, plan.runs):
            on_row(row)
            rows.append(row)
    name = torch.cuda.get_device_name(plan.device) if plan.device.type == "cuda" else str(plan.device)
    return GpuTable(name, ceilings, costs, _by_net(rows, nets))


def net_cost(net: Net, ceilings: Ceilings) -> NetCost:
    """Count a network in half precision: features, weights and their traffic in 16 bits, geometry and depth in 32."""
    feeds = map(torch.from_numpy, net.inputs[0].as_feeds().values())
    operations = trace_operations(MetricStudent(HalfStudent(net.student)), feeds)
    return NetCost(
        net=net.name,
        size=net.size,
        weights=net.weights,
        parameters=sum(parameter.numel() for parameter in net.student.parameters()),
        flops=sum(operation.flops for operation in operations),
        n_bytes=sum(operation.n_bytes for operation in operations),
        floor_ms=floor_ms(operations, ceilings),
    )


def _engine_entry(
    directory: Path, manifest: Manifest, nets: list[Net], checkpoints: Iterable[TrainedStudent]
) -> tuple[Net, Contender] | Row:
    """Return an engine beside the network it was built from, which joins `nets` where it is not among them.

    Without its checkpoint nothing can be said of its accuracy, so nothing is said of its speed.
    """
    contender = engine_contender(directory, manifest)
    weights_sha256 = manifest.checkpoint.weights_sha256
    trained = next((one for one in checkpoints if one.record.weights_sha256 == weights_sha256), None)
    if trained is None:
        note = f"its checkpoint '{manifest.checkpoint.name}' was not given: add --checkpoint"
        size = f"{manifest.n_cameras} x {manifest.input.height_px} x {manifest.input.width_px}"
        return Row(manifest.checkpoint.name, size, contender.name, None, None, note)
    wanted = (trained.record.weights_sha256, manifest.input, manifest.n_cameras)
    for net in nets:
        if (net.spec.model_hash, net.spec.input, net.spec.n_cameras) == wanted:
            return net, contender
    nets.append(checkpoint_net(trained, manifest.input, manifest.n_cameras))
    return nets[-1], contender


def _rows(
    nets: Sequence[Net],
    everywhere: Sequence[Contender],
    entries: Sequence[tuple[Net, Contender] | Row],
    runs: int,
) -> Iterator[Row]:
    """Yield torch's lines before those of the engines: a library that brings the process down costs its own alone."""
    for net in nets:
        for contender in everywhere:
            yield measure_row(net, contender, runs)
    for entry in entries:
        yield entry if isinstance(entry, Row) else measure_row(*entry, runs)


def _by_net(rows: Iterable[Row], nets: Sequence[Net]) -> tuple[Row, ...]:
    """Return the lines of one network after those of another; engines without a network come last."""
    places = {(net.name, net.size): place for place, net in enumerate(nets)}
    return tuple(sorted(rows, key=lambda row: places.get((row.net, row.size), len(places))))


def _require_device(device: torch.device) -> None:
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MissingDependencyError(
            f"--device {device}: torch {torch.__version__} sees no CUDA device here; run it on a machine with an "
            "NVIDIA GPU and a CUDA build of torch, or look at the table's form with --device cpu"
        )


def _ceilings(device: torch.device) -> Ceilings:
    """A CPU has no half-precision units worth seconds of waiting: there the numbers only fill their places."""
    return measure_ceilings(device) if device.type == "cuda" else measure_ceilings(device, side=128, copy_bytes=1 << 24)


@contextmanager
def _exact_float32(device: torch.device) -> Iterator[None]:
    """fp32 means fp32 here (cuDNN would use TF32), and cuDNN may try its algorithms: the shapes never change."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = (cudnn.allow_tf32, cudnn.benchmark)
    cudnn.allow_tf32, cudnn.benchmark = False, True
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark = before
