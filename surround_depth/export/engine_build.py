"""From a checkpoint to an engine directory: export, audit, compile, prove in metres, sign; all of it or nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from surround_depth.export.checkpoint import DEFAULT_CAMERAS, TrainedStudent, read_trained_student
from surround_depth.export.engine_choice import require_runtime, runs_here
from surround_depth.export.frames import DriveSource, ProofFrames, calibration_frames, proof_frames
from surround_depth.export.machine import describe_machine, engine_versions
from surround_depth.export.manifest import record_file, require_replaceable, write_manifest
from surround_depth.export.parity import Rung, measure_parity, parity_table, require_parity
from surround_depth.export.precision import export_at, int8_form, require_precision
from surround_depth.export.rungs import graph_rung, plan_rung
from surround_depth.export.tensorrt_build import (
    LAYERS_NAME,
    LOG_NAME,
    PlanFiles,
    PlanOptions,
    build_plan,
    require_buildable,
    require_plan_options,
    tensorrt_kind,
)
from surround_depth.files import atomic_directory
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec
from surround_depth.inference.manifest import EngineKind, Manifest, ParityRecord, Precision, TensorRTRecord
from surround_depth.inference.torch_backend import TorchBackend

ONNX_NAME = "model.onnx"
PLAN_NAME = "model.plan"
PARITY_NAME = "parity.md"
DEFAULT_PARITY_FRAMES = 4


@dataclass(frozen=True)
class BuildRequest:
    """What to build, of what, and where."""

    checkpoint: Path
    out: Path
    engine: EngineKind = "onnxruntime"
    precision: Precision = "fp32"
    n_cameras: int = DEFAULT_CAMERAS
    input: InputSpec | None = None
    """None: the resolution the student was trained at."""
    data: DriveSource | None = None
    """Drives to prove parity on; None: those of `calibration`, else structured random images."""
    n_parity_frames: int = DEFAULT_PARITY_FRAMES
    calibration: DriveSource | None = None
    """int8: drives to read the activations' ranges off; None: `data`."""
    plan: PlanOptions = field(default_factory=PlanOptions)
    """TensorRT engines only."""
    command: str = ""
    """As the user typed it; stands in the manifest."""


def build_engine(request: BuildRequest, report: Callable[[str], None] = lambda line: None) -> Manifest:
    """Build, prove and write an engine directory; return its manifest.

    `report` receives one short line before each step that takes time. Whatever `request.out` held before is replaced
    only when everything has succeeded.

    Raises:
        EngineMismatchError: the graph, the plan or the parity does not hold, or `out` is not an engine's folder.
        MissingDependencyError: the engine's library is not installed.
        DataError: the checkpoint or the drive cannot be read.
    """
    require_replaceable(request.out)
    require_precision(request.engine, request.precision)
    require_runtime(request.engine)
    kind = tensorrt_kind(request.engine)
    require_plan_options(kind, request.plan)
    if kind is not None:
        require_buildable(kind)
    checkpoint = read_trained_student(request.checkpoint)
    spec = checkpoint.engine_spec(request.n_cameras, request.input)
    frames = proof_frames(spec, request.data or request.calibration, request.n_parity_frames)
    calibration = _calibration(request, spec)
    with atomic_directory(request.out) as folder:
        _write_graph(request, checkpoint, spec, folder, calibration, report)
        record = None
        if kind is not None:
            report(f"compile  {kind} (log: {LOG_NAME})")
            record = build_plan(kind, _plan_files(folder), request.plan)
        report(f"prove    {len(frames.samples)} frames, {frames.name}")
        if record is not None and not runs_here(record.library):
            report("         (no GPU here runs it: what is proven is the graph it was compiled from, not the plan)")
        rungs = _prove(request, checkpoint, spec, frames, folder, record)
        (folder / PARITY_NAME).write_text(parity_table(rungs) + "\n", encoding="utf-8")
        manifest = _manifest(request, checkpoint, spec, folder, record, rungs[-1], calibration)
        write_manifest(folder, manifest)
    return manifest


def _write_graph(
    request: BuildRequest,
    checkpoint: TrainedStudent,
    spec: EngineSpec,
    folder: Path,
    calibration: ProofFrames | None,
    report: Callable[[str], None],
) -> None:
    size = f"{spec.n_cameras} cameras x {spec.input.height_px} x {spec.input.width_px}"
    report(f"export   {size}, opset 18, {request.precision}")
    if calibration is not None:
        report(f"         (ranges of int8 off {len(calibration.samples)} frames, {calibration.name})")
        if request.calibration is None and request.data is None:
            report("         (what that costs in accuracy is not known; --calibration DRIVE proves it)")
    export_at(
        request.precision,
        checkpoint.student,
        spec,
        folder / ONNX_NAME,
        calibration=calibration.network_inputs(spec.input) if calibration is not None else (),
        form=int8_form(request.engine),
    )


def _calibration(request: BuildRequest, spec: EngineSpec) -> ProofFrames | None:
    if request.precision != "int8":
        return None
    return calibration_frames(spec, request.calibration or request.data)


def _plan_files(folder: Path) -> PlanFiles:
    return PlanFiles(folder / ONNX_NAME, folder / PLAN_NAME, folder / LAYERS_NAME, folder / LOG_NAME)


def _prove(
    request: BuildRequest,
    checkpoint: TrainedStudent,
    spec: EngineSpec,
    frames: ProofFrames,
    folder: Path,
    record: TensorRTRecord | None,
) -> list[ParityRecord]:
    """The ladder: torch against the graph always, and against the plan where a GPU can run it."""
    inputs, truth_m = frames.network_inputs(spec.input), frames.truth_m(spec.input)
    planned = [graph_rung(request.engine, request.precision, folder / ONNX_NAME, spec)]
    if record is not None and runs_here(record.library):
        planned.append(plan_rung(record, request.precision, folder / PLAN_NAME, spec))
    reference = Rung("torch fp32", TorchBackend(checkpoint.student, spec))
    rungs = []
    for rung in planned:
        with rung.open() as backend:
            rungs.append(measure_parity(reference, Rung(rung.name, backend), inputs, frames.name, truth_m))
        require_parity(rungs[-1], request.precision)
    return rungs


def _manifest(
    request: BuildRequest,
    checkpoint: TrainedStudent,
    spec: EngineSpec,
    folder: Path,
    record: TensorRTRecord | None,
    parity: ParityRecord,
    calibration: ProofFrames | None,
) -> Manifest:
    return Manifest(
        schema_version=1,
        engine=request.engine,
        precision=request.precision,
        n_cameras=spec.n_cameras,
        input=spec.input,
        min_depth_m=spec.min_depth_m,
        max_depth_m=spec.max_depth_m,
        onnx=record_file(folder / ONNX_NAME),
        plan=record_file(folder / PLAN_NAME) if record is not None else None,
        tensorrt=record,
        checkpoint=checkpoint.record,
        parity=parity,
        calibration=f"{len(calibration.samples)} {calibration.name}" if calibration is not None else None,
        licences=checkpoint.licences,
        versions=engine_versions(),
        host=describe_machine(),
        build_command=request.command,
        created_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
