"""The ladder of engines of one student, each proven against torch fp32 on the same frames, in metres and AbsRel.

Two ladders: of engines that were built before, and of every precision that this machine can run, made on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from surround_depth.errors import EngineMismatchError
from surround_depth.export.checkpoint import TrainedStudent
from surround_depth.export.engine_choice import usable_tensorrt
from surround_depth.export.frames import ProofFrames
from surround_depth.export.parity import FrameDifference, Rung, compare, require_parity, summarise
from surround_depth.export.precision import export_at, int8_form
from surround_depth.export.quantize import quantise
from surround_depth.export.rungs import PlannedRung, graph_rung, plan_rung
from surround_depth.export.tensorrt_build import PlanFiles, build_plan
from surround_depth.inference.backend import EngineSpec, engine_spec, open_backend
from surround_depth.inference.gpu import first_gpu
from surround_depth.inference.manifest import ParityRecord, Precision, load_manifest
from surround_depth.inference.torch_backend import TorchBackend

_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")

Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class ProvenRung:
    """One rung's numbers, its verdict, and the frame in which it is furthest off."""

    record: ParityRecord
    precision: Precision
    failure: str | None
    """Which bounds it is over; None where it holds."""
    worst_frame: int
    worst: FrameDifference


def climb(
    trained: TrainedStudent, spec: EngineSpec, frames: ProofFrames, planned: Sequence[PlannedRung], report: Report
) -> tuple[ProvenRung, ...]:
    """Prove the rungs one after another, also after one that fails.

    Raises:
        EngineMismatchError: an engine cannot be opened here, or says something that is not finite.
    """
    inputs, truth_m = frames.network_inputs(spec.input), frames.truth_m(spec.input)
    reference = Rung("torch fp32", TorchBackend(trained.student, spec))
    proven = []
    for rung in planned:
        report(f"prove    {rung.name}")
        with rung.open() as backend:
            candidate = Rung(rung.name, backend)
            differences = compare(reference, candidate, inputs)
        record = summarise(reference, candidate, differences, frames.name, truth_m)
        worst = int(np.argmax([frame.relative.mean() if frame.counted.any() else 0.0 for frame in differences]))
        proven.append(ProvenRung(record, rung.precision, _failure(record, rung.precision), worst, differences[worst]))
    return tuple(proven)


def engine_rungs(engines: Sequence[Path], trained: TrainedStudent, checkpoint: Path) -> tuple[PlannedRung, ...]:
    """Return engines that were built before as rungs.

    Raises:
        EngineMismatchError: one was made of other weights, or for another input than the first.
    """
    planned = []
    first = engine_spec(load_manifest(engines[0]))
    for engine in engines:
        manifest = load_manifest(engine)
        if trained.record.weights_sha256 != manifest.checkpoint.weights_sha256:
            raise EngineMismatchError(
                f"engine {engine} was made of weights {manifest.checkpoint.weights_sha256[:12]}... "
                f"('{manifest.checkpoint.name}'), {checkpoint} holds {trained.record.weights_sha256[:12]}...; "
                f"rebuild with python deploy/build_engine.py --checkpoint {checkpoint} --out {engine}"
            )
        if engine_spec(manifest).input_shapes() != first.input_shapes():
            raise EngineMismatchError(
                f"engine {engine} takes images {list(engine_spec(manifest).input_shapes()['images'])}, {engines[0]} "
                f"{list(first.input_shapes()['images'])}; a ladder is of one input: prove them apart"
            )
        name = f"{manifest.engine} {manifest.precision}"
        planned.append(PlannedRung(name, manifest.precision, partial(open_backend, engine)))
    return tuple(planned)


def possible_rungs(
    trained: TrainedStudent, spec: EngineSpec, calibration: ProofFrames, folder: Path, report: Report
) -> Iterator[PlannedRung]:
    """Make in `folder` every engine that this machine can run, and yield them from the most exact to the least.

    fp16 needs a GPU: a CPU computes it in float32 and would say less than the truth (tensorrt.md, 3).
    """
    on_a_gpu = usable_tensorrt(first_gpu())
    has_openvino = find_spec("openvino") is not None
    report("export   fp32" + (", fp16" if on_a_gpu else ""))
    onnx = {precision: folder / f"{precision}.onnx" for precision in _PRECISIONS}
    graph = export_at("fp32", trained.student, spec, onnx["fp32"])
    if on_a_gpu:
        export_at("fp16", trained.student, spec, onnx["fp16"])
    yield graph_rung("onnxruntime", "fp32", onnx["fp32"], spec)
    if has_openvino:
        yield graph_rung("openvino", "fp32", onnx["fp32"], spec)
    report(f"quantise {len(calibration.samples)} frames, {calibration.name}")
    ranges = calibration.network_inputs(spec.input)
    on_a_cpu = folder / "int8_cpu.onnx"
    quantise(graph, ranges, on_a_cpu, form=int8_form("onnxruntime"))
    yield graph_rung("onnxruntime", "int8", on_a_cpu, spec)
    if has_openvino:
        yield graph_rung("openvino", "int8", on_a_cpu, spec)
    if on_a_gpu:
        quantise(graph, ranges, onnx["int8"])
    for kind in on_a_gpu:
        for precision in _PRECISIONS:
            report(f"compile  {kind} {precision}")
            files = PlanFiles(
                onnx[precision], *(folder / f"{kind}_{precision}.{end}" for end in ("plan", "json", "log"))
            )
            yield plan_rung(build_plan(kind, files), precision, files.plan, spec)


def _failure(record: ParityRecord, precision: Precision) -> str | None:
    try:
        require_parity(record, precision)
    except EngineMismatchError as error:
        return str(error)
    return None
