"""How much faster students are than the networks they may be held against: one run, one runtime, one size, one table.

The others have random weights, and so have students that are only a preset: what a graph costs does not depend on them.
Student and rival take turns, so that a busy machine is unkind to both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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

_ACCURACY_FRAMES = 8


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
    """Frames to measure accuracy on, and to read int8's ranges off; without it there is no accuracy."""


@dataclass(frozen=True)
class Lap:
    """One student beside one rival."""

    student: str
    precision: Precision
    abs_rel: float | None
    """Of the student's engine against the drive's truth; None where it is not trained, or there is no drive."""
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
        for name in rivals:
            rival = open_rival(name, race.input, race.n_cameras, race.threads, Path(folder), race.engine)
            laps += [_lap(student, p, rival, race, Path(folder)) for student in students for p in race.precisions]
    return laps


def race_report(laps: Iterable[Lap], race: Race) -> Report:
    """Return the times as a table for people and as plain values."""
    laps = list(laps)
    rows = tuple(
        (
            one.student,
            one.precision,
            "-" if one.abs_rel is None else f"{one.abs_rel:.4f}",
            f"{one.rival_label}, {one.rival_size[0]} x {one.rival_size[1]}",
            f"{one.student_p50_ms:.1f}",
            f"{one.rival_p50_ms:.0f}",
            f"{one.times_as_fast:.1f}",
        )
        for one in laps
    )
    head = ("student", "precision", "AbsRel", "against", "student p50, ms", "the other p50, ms", "times as fast")
    drive = "no drive was given" if race.drive is None else f"{_ACCURACY_FRAMES} frames, {race.drive.kind}"
    meaning = (
        f"One frame of {race.n_cameras} cameras, students at {race.input.height_px} x {race.input.width_px}, the "
        f"graphs alone, {race.engine} on {race.threads} threads. {race.runs} runs of each pair in turns. The others "
        "run in fp32 with random weights (Depth Anything at the nearest whole patches). AbsRel is that of the very "
        f"engine that is timed, against the truth of a drive ({drive}; int8's ranges are "
        f"off it too); a preset without a checkpoint has random "
        "weights, hence none."
    )
    figures = {"laps": [asdict(one) | {"times_as_fast": one.times_as_fast} for one in laps], "runs": race.runs}
    return Report("race", "Students beside others", (Table(head, rows), meaning), figures)


def _lap(student: str, precision: Precision, rival: Rival, race: Race, folder: Path) -> Lap:
    model, spec, trained = _student(student, race)
    (inputs, *_) = timing_frames(spec, None, 1).network_inputs(spec.input)
    with _engine(model, spec, precision, race, folder / f"{student.replace('/', '_')}-{precision}.onnx") as engine:
        abs_rel = _abs_rel(model, engine, spec, race) if trained else None
        student_ms, rival_ms = in_turns(lambda: engine.infer(inputs), rival.graph.run, race.runs)
    size = (rival.height_px, rival.width_px)
    return Lap(student, precision, abs_rel, rival.name, rival.label, size, student_ms, rival_ms)


def _student(name: str, race: Race) -> tuple[Student, EngineSpec, bool]:
    """Return a student, what its engine declares, and whether it is trained."""
    if not Path(name).is_dir():
        return Student(_preset(name)).eval(), engine_spec(race.input, race.n_cameras), False
    checkpoint = read_trained_student(Path(name))
    return checkpoint.student, checkpoint.engine_spec(race.n_cameras, race.input), True


def _preset(name: str) -> StudentConfig:
    return student_preset(cast(Preset, name))  # which refuses any other name


@contextmanager
def _engine(model: Student, spec: EngineSpec, precision: Precision, race: Race, path: Path) -> Iterator[Backend]:
    if not path.exists():  # made for an earlier rival
        calibration: Sequence[NetworkInputs] = ()
        if precision == "int8":
            calibration = calibration_frames(spec, race.drive).network_inputs(spec.input)
        export_at(precision, model, spec, path, calibration=calibration, form=int8_form(race.engine))
    backend_type = OpenVinoBackend if race.engine == "openvino" else OnnxRuntimeBackend
    with backend_type(path.read_bytes(), spec, threads=race.threads) as engine:
        yield engine


def _abs_rel(model: Student, engine: Backend, spec: EngineSpec, race: Race) -> float | None:
    if race.drive is None:
        return None
    frames = dataset_frames(race.drive, spec.n_cameras, _ACCURACY_FRAMES)
    torch_rung = Rung("torch", TorchBackend(model, spec))
    truth_m = frames.truth_m(spec.input)
    record = measure_parity(torch_rung, Rung("engine", engine), frames.network_inputs(spec.input), frames.name, truth_m)
    if record.abs_rel_reference is None or record.abs_rel_worsening is None:
        return None
    return record.abs_rel_reference * (1.0 + record.abs_rel_worsening)
