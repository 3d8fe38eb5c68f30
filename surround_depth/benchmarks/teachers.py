"""How much faster a student is than the foundation teachers it may be distilled from: one run, one runtime, one size.

The teachers are Depth Anything V2 in its three published shapes, with random weights: what a graph costs does not
depend on them. Both sides run in ONNX Runtime with the same threads on the same pictures; student and teacher take
turns, so that a busy machine is unkind to both.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from torch import Tensor, nn

from surround_depth.benchmarks.reference_graph import ReferenceGraph, export_reference, open_reference
from surround_depth.benchmarks.report import Report, Table, require_repeats
from surround_depth.benchmarks.students import engine_spec
from surround_depth.export.frames import network_inputs, random_frames
from surround_depth.export.onnx_graph import export_onnx
from surround_depth.imaging import InputSpec
from surround_depth.inference.manifest import EngineKind
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend
from surround_depth.models.presets import Preset, student_preset
from surround_depth.models.student import Student

TeacherShape = Literal["S", "B", "L"]
TEACHER_SHAPES: tuple[TeacherShape, ...] = get_args(TeacherShape)
PATCH_PX = 14
_WARM_UP_RUNS = 5
# hidden size, heads, layers, the four layers that the head looks at, widths of the neck, width of the fusion: as in the
# published configurations of depth-anything/Depth-Anything-V2-{Small,Base,Large}-hf
_SHAPES: dict[TeacherShape, tuple[int, int, int, tuple[int, ...], tuple[int, ...], int]] = {
    "S": (384, 6, 12, (3, 6, 9, 12), (48, 96, 192, 384), 64),
    "B": (768, 12, 12, (3, 6, 9, 12), (96, 192, 384, 768), 128),
    "L": (1024, 16, 24, (5, 12, 18, 24), (256, 512, 1024, 1024), 256),
}


@dataclass(frozen=True)
class TeacherSpeed:
    """One student beside one teacher."""

    preset: str
    teacher: str
    teacher_parameters: int
    student_p50_ms: float
    teacher_p50_ms: float

    @property
    def times_as_fast(self) -> float:
        """Teacher's time over the student's."""
        return self.teacher_p50_ms / self.student_p50_ms


def teacher_model(shape: TeacherShape) -> nn.Module:
    """Return Depth Anything V2 of a published shape with random weights, in eval mode."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    hidden, heads, layers, stages, neck, fusion = _SHAPES[shape]
    backbone = Dinov2Config(
        hidden_size=hidden,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        patch_size=PATCH_PX,
        image_size=518,
        out_features=[f"stage{stage}" for stage in stages],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=PATCH_PX,
        reassemble_hidden_size=hidden,
        neck_hidden_sizes=list(neck),
        fusion_hidden_size=fusion,
        head_in_index=-1,
    )
    model: nn.Module = DepthAnythingForDepthEstimation(config).eval()
    return model


def teacher_size(input: InputSpec) -> tuple[int, int]:
    """Return the teacher's size for a student's: the nearest whole patches, so that both see as many pixels."""
    height, width = (max(1, round(side / PATCH_PX)) * PATCH_PX for side in (input.height_px, input.width_px))
    return height, width


@dataclass(frozen=True)
class Race:
    """What all pairs share."""

    input: InputSpec
    n_cameras: int
    runs: int
    threads: int


def measure(presets: Sequence[Preset], shapes: Sequence[TeacherShape], race: Race) -> list[TeacherSpeed]:
    """Return the times of every student beside every teacher.

    Raises:
        ConfigError: no runs, or a preset that does not exist.
    """
    require_repeats("--runs", race.runs)
    for preset in presets:
        student_preset(preset)  # before minutes of measuring
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in shapes:
            teacher = open_teacher(shape, race.input, race.n_cameras, race.threads, Path(folder))
            found += [_beside(preset, shape, teacher, race, Path(folder)) for preset in presets]
    return found


def teachers_report(speeds: Iterable[TeacherSpeed], race: Race) -> Report:
    """Return the times as a table for people and as plain values."""
    height, width = teacher_size(race.input)
    rows = tuple(
        (
            one.preset,
            f"Depth Anything V2 {one.teacher} ({one.teacher_parameters / 1e6:.1f} M)",
            f"{one.student_p50_ms:.0f}",
            f"{one.teacher_p50_ms:.0f}",
            f"{one.times_as_fast:.1f}",
        )
        for one in speeds
    )
    head = ("student", "teacher", "student p50, ms", "teacher p50, ms", "times as fast")
    meaning = (
        f"One frame of {race.n_cameras} cameras, students at {race.input.height_px} x {race.input.width_px}, teachers "
        f"at {height} x {width} (whole patches of {PATCH_PX}), fp32, ONNX Runtime on {race.threads} threads, "
        f"the graphs alone. {race.runs} runs of each pair in turns. Weights are random on both sides: this table says "
        "nothing about accuracy."
    )
    figures = {"speeds": [asdict(one) | {"times_as_fast": one.times_as_fast} for one in speeds], "runs": race.runs}
    return Report("teachers", "Students beside their teachers", (Table(head, rows), meaning), figures)


def _beside(preset: Preset, shape: TeacherShape, teacher: ReferenceGraph, race: Race, folder: Path) -> TeacherSpeed:
    spec = engine_spec(race.input, race.n_cameras)
    path = folder / f"{preset}.onnx"
    if not path.exists():
        export_onnx(Student(student_preset(preset)), spec, path)
    (frame,) = random_frames(spec, 1, dead_cameras=False).frames
    inputs = network_inputs(frame, spec.input)
    with OnnxRuntimeBackend(path.read_bytes(), spec, threads=race.threads) as engine:
        for _ in range(_WARM_UP_RUNS):
            engine.infer(inputs)
        pairs = [(_ms(lambda: engine.infer(inputs)), _ms(teacher.run)) for _ in range(race.runs)]
    student_ms, teacher_ms = np.median(np.array(pairs), axis=0)
    return TeacherSpeed(preset, shape, teacher.n_parameters, float(student_ms), float(teacher_ms))


class _DepthOnly(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        depth: Tensor = self.model(pixel_values=pixels).predicted_depth
        return depth


def open_teacher(
    shape: TeacherShape,
    input: InputSpec,
    n_cameras: int,
    threads: int,
    folder: Path,
    engine: EngineKind = "onnxruntime",
) -> ReferenceGraph:
    """Return a teacher as a graph that has run once, for as many pixels as a student of `input` sees.

    Its file stays in `folder`, which must outlive it.
    """
    pixels = (n_cameras, 3, *teacher_size(input))
    path = folder / f"teacher-{shape}.onnx"
    n_parameters = export_reference(_DepthOnly(teacher_model(shape)), pixels, path)
    return open_reference(path, pixels, n_parameters, threads, engine)


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - started)
