"""How much faster students are than the networks they may be held against: one run, one runtime, one size, one table.

The others have random weights, and so have students that are only a preset: what a graph costs does not depend on them.
Student and rival take turns, so that a busy machine is unkind to both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from surround_depth.benchmarks.against import in_turns
from surround_depth.benchmarks.report import Report, Table, require_repeats
from surround_depth.benchmarks.rivals import Rival, RivalName, open_rival
from surround_depth.benchmarks.students import engine_spec
from surround_depth.errors import ConfigError
from surround_depth.export.checkpoint import read_trained_student
from surround_depth.export.frames import DriveSource, calibration_frames, dataset_frames, timing_frames
from surround_depth.export.parity import Rung, measure_parity
from surround_depth.export.precision import CPU_ENGINES, export_at, int8_form, require_precision
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import Backend, EngineSpec, NetworkInputs
from surround_depth.inference.manifest import EngineKind, Precision
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend
from surround_depth.inference.openvino_backend import OpenVinoBackend
from surround_depth.inference.torch_backend import TorchBackend
from surround_depth.models.config import StudentConfig
from surround_depth.models.presets import Preset, student_preset
from surround_depth.models.student import Student

_ACCURACY_FRAMES = 24


@dataclass(frozen=True)
class Race:
    """What all pairs share."""

    input: InputSpec
    n_cameras: int
    runs: int
    threads: int
    engine: EngineKind = "onnxruntime"
    precisions: tuple[Precision, ...] = ("fp32",)
    drive: DriveSource | None = None
    """Frames to measure accuracy on; without it there is no accuracy."""
    calibration: DriveSource | None = None
    """Frames to read int8's ranges off: other drives than those accuracy is measured on. Without it the same."""


@dataclass(frozen=True)
class Accuracy:
    """Of a student's engine, as it is timed, against the truth of a drive."""

    abs_rel: float
    n_frames: int


@dataclass(frozen=True)
class Lap:
    """One student beside one rival."""

    student: str
    precision: Precision
    accuracy: Accuracy | None
    """None where it is not trained, or there is no drive with truth."""
    rival: RivalName
    rival_label: str
    rival_size: tuple[int, int]
    student_p50_ms: float
    rival_p50_ms: float

    @property
    def times_as_fast(self) -> float:
        """The rival's time over the student's."""
        return self.rival_p50_ms / self.student_p50_ms


def measure(students: Sequence[str], rivals: Sequence[RivalName], race: Race) -> list[Lap]:
    """Return every student beside every rival.

    Args:
        students: names of presets, or checkpoint folders.

    Raises:
        ConfigError: no runs, an engine of a GPU, or a student that is neither a preset nor a folder.
        EngineMismatchError: a precision that the engine does not gain from.
        DataError: a checkpoint or the drive cannot be read.
    """
    require_repeats("--runs", race.runs)
    if race.engine not in CPU_ENGINES:
        raise ConfigError(f"--engine {race.engine}: the race is run on a CPU: {', '.join(CPU_ENGINES)}")
    for precision in race.precisions:
        require_precision(race.engine, precision)
    for student in students:
        if not Path(student).is_dir():
            _preset(student)  # before minutes of measuring
    laps = []
    with tempfile.TemporaryDirectory() as folder:
        entries = [_enter(student, p, race, Path(folder)) for student in students for p in race.precisions]
        for name in rivals:
            rival = open_rival(name, race.input, race.n_cameras, race.threads, Path(folder), race.engine)
            laps += [_lap(entry, rival, race) for entry in entries]
    return laps


def race_report(laps: Iterable[Lap], race: Race) -> Report:
    """Return the times as a table for people and as plain values."""
    laps = list(laps)
    rows = tuple(
        (
            one.student,
            one.precision,
            "-" if one.accuracy is None else f"{one.accuracy.abs_rel:.4f}",
            f"{one.rival_label}, {one.rival_size[0]} x {one.rival_size[1]}",
            f"{one.student_p50_ms:.1f}",
            f"{one.rival_p50_ms:.0f}",
            f"{one.times_as_fast:.1f}",
        )
        for one in laps
    )
    head = ("student", "precision", "AbsRel", "against", "student p50, ms", "the other p50, ms", "times as fast")
    counts = {one.accuracy.n_frames for one in laps if one.accuracy}
    scored = "nothing was scored"
    if race.drive is not None and counts:
        scored = f"{max(counts)} frames of {race.drive.root.name}, {race.drive.kind}"
    meaning = (
        f"One frame of {race.n_cameras} cameras, students at {race.input.height_px} x {race.input.width_px}, the "
        f"graphs alone, {race.engine} on {race.threads} threads. {race.runs} runs of each pair in turns. The others "
        "run in fp32 with random weights (Depth Anything at the nearest whole patches). AbsRel is that of the very "
        f"engine that is timed, against the truth of a data set ({scored}); a preset without a checkpoint has random "
        f"weights, hence none. {_ranges(race)}"
    )
    figures = {"laps": [asdict(one) | {"times_as_fast": one.times_as_fast} for one in laps], "runs": race.runs}
    return Report("race", "Students beside others", (Table(head, rows), meaning), figures)


def _ranges(race: Race) -> str:
    source = race.calibration or race.drive
    if "int8" not in race.precisions:
        return ""
    if source is None:
        return "The ranges of int8 are off random images."
    if race.drive is None:
        return f"The ranges of int8 are off {source.root.name}."
    same = source.root.resolve() == race.drive.root.resolve()
    return f"The ranges of int8 are off {'the same' if same else 'other'} drives ({source.root.name})."


@dataclass(frozen=True)
class _Entry:
    """A student's graph at one precision, ready to be timed beside any rival."""

    student: str
    precision: Precision
    graph: Path
    spec: EngineSpec
    accuracy: Accuracy | None


def _enter(student: str, precision: Precision, race: Race, folder: Path) -> _Entry:
    model, spec, trained = _student(student, race)
    graph = folder / f"{student.replace('/', '_')}-{precision}.onnx"
    calibration: Sequence[NetworkInputs] = ()
    if precision == "int8":
        calibration = calibration_frames(spec, race.calibration or race.drive).network_inputs(spec.input)
    export_at(precision, model, spec, graph, calibration=calibration, form=int8_form(race.engine))
    accuracy = _accuracy(model, graph, spec, race) if trained else None
    return _Entry(student, precision, graph, spec, accuracy)


def _lap(entry: _Entry, rival: Rival, race: Race) -> Lap:
    (inputs, *_) = timing_frames(entry.spec, None, 1).network_inputs(entry.spec.input)
    with _engine(entry.graph, entry.spec, race) as engine:
        student_ms, rival_ms = in_turns(lambda: engine.infer(inputs), rival.graph.run, race.runs)
    size = (rival.height_px, rival.width_px)
    return Lap(entry.student, entry.precision, entry.accuracy, rival.name, rival.label, size, student_ms, rival_ms)


def _student(name: str, race: Race) -> tuple[Student, EngineSpec, bool]:
    """Return a student, what its engine declares, and whether it is trained."""
    if not Path(name).is_dir():
        return Student(_preset(name)).eval(), engine_spec(race.input, race.n_cameras), False
    checkpoint = read_trained_student(Path(name))
    return checkpoint.student, checkpoint.engine_spec(race.n_cameras, race.input), True


def _preset(name: str) -> StudentConfig:
    return student_preset(cast(Preset, name))  # which refuses any other name


def _engine(graph: Path, spec: EngineSpec, race: Race) -> Backend:
    backend_type = OpenVinoBackend if race.engine == "openvino" else OnnxRuntimeBackend
    return backend_type(graph.read_bytes(), spec, threads=race.threads)


def _accuracy(model: Student, graph: Path, spec: EngineSpec, race: Race) -> Accuracy | None:
    if race.drive is None:
        return None
    frames = dataset_frames(race.drive, spec.n_cameras, _ACCURACY_FRAMES)
    truth_m = frames.truth_m(spec.input)
    torch_rung = Rung("torch", TorchBackend(model, spec))
    with _engine(graph, spec, race) as engine:
        inputs = frames.network_inputs(spec.input)
        record = measure_parity(torch_rung, Rung("engine", engine), inputs, frames.name, truth_m)
    if record.abs_rel_reference is None or record.abs_rel_worsening is None:
        return None
    return Accuracy(record.abs_rel_reference * (1.0 + record.abs_rel_worsening), record.n_frames)
