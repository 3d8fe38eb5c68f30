"""Which teacher: one readable choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError
from surround_depth.teachers.depth_anything import DepthAnythingConfig, DepthAnythingTeacher
from surround_depth.teachers.device import Device
from surround_depth.teachers.ensemble import AssistedTeacher
from surround_depth.teachers.simulated import SimulatedTeacher, SimulatedTeacherConfig
from surround_depth.teachers.stereo import StereoTeacher, StereoTeacherConfig
from surround_depth.teachers.teacher import Teacher

Alignment = Literal["image", "local"]


class StudentTeacherConfig(StrictModel):
    """A trained student of this project as teacher."""

    directory: str | None = None
    """Of its checkpoint."""
    metric: bool = False
    """Keep its metres. False aligns it to each image's LiDAR, as a relative teacher."""
    device: Device = "cpu"
    """Where it runs; a loader's workers (`data.n_workers`) cannot share a GPU."""


class SingleTeacherConfig(StrictModel):
    """One model that labels by itself."""

    kind: Literal["simulated", "depth_anything", "student", "stereo"]
    simulated: SimulatedTeacherConfig = SimulatedTeacherConfig()
    depth_anything: DepthAnythingConfig = DepthAnythingConfig()
    student: StudentTeacherConfig = StudentTeacherConfig()
    stereo: StereoTeacherConfig = StereoTeacherConfig()


class AssistantConfig(StrictModel):
    """Two teachers of which one is chosen for each sample: see `AssistedTeacher`."""

    primary: SingleTeacherConfig
    assistant: SingleTeacherConfig
    primary_share: float = Field(default=0.7, ge=0.0, le=1.0)
    """Of the samples; 7 : 3 in arXiv 2502.19204 [V]."""
    seed: int = 0


class TeacherConfig(StrictModel):
    """The teacher of a training run; `none` trains on LiDAR alone."""

    kind: Literal["simulated", "depth_anything", "assistant", "student", "stereo", "none"] = "simulated"
    simulated: SimulatedTeacherConfig = SimulatedTeacherConfig()
    depth_anything: DepthAnythingConfig = DepthAnythingConfig()
    assistant: AssistantConfig | None = None
    student: StudentTeacherConfig = StudentTeacherConfig()
    stereo: StereoTeacherConfig = StereoTeacherConfig()
    alignment: Alignment = "image"
    """How its depth is brought to metres. `image`: by one scale and shift per image, from LiDAR (a metric teacher keeps
    its metres). `local`: then each piece of it is drawn to the LiDAR around it (`teachers.anchoring`)."""
    cache: str | None = None
    """Folder of labels that `tools/cache_teacher.py` made; what is not in it, the teacher says anew."""


OpenStudent = Callable[[StudentTeacherConfig], Teacher]


def build_teacher(config: TeacherConfig, of_student: OpenStudent) -> Teacher | None:
    """Return the teacher, or None for training on LiDAR alone; weights are read at the first sample.

    Args:
        of_student: opens a checkpoint of ours (`training.student_teacher`): no teacher may know the students.

    Raises:
        ConfigError: a model cannot be found, or the pair of `assistant` is missing, twice the same or has features.
    """
    match config.kind:
        case "none":
            return None
        case "assistant":
            return _assisted(config.assistant, of_student)
        case _:
            return _single(config, of_student)


def _single(config: TeacherConfig | SingleTeacherConfig, of_student: OpenStudent) -> Teacher:
    match config.kind:
        case "simulated":
            return SimulatedTeacher(config.simulated)
        case "depth_anything":
            return DepthAnythingTeacher(config.depth_anything)
        case "student":
            return of_student(config.student)
        case "stereo":
            return StereoTeacher(config.stereo)
        case _:
            raise ConfigError(f"teacher.kind: '{config.kind}' is unknown")


def _assisted(config: AssistantConfig | None, of_student: OpenStudent) -> Teacher:
    if config is None:
        raise ConfigError("teacher.assistant is missing: kind 'assistant' needs two teachers, primary and assistant")
    pair = (config.primary, config.assistant)
    if pair[0] == pair[1]:
        raise ConfigError("teacher.assistant: primary and assistant are the same; then the primary alone is meant")
    for role, one in zip(("primary", "assistant"), pair, strict=True):
        if one.kind == "depth_anything" and one.depth_anything.features:
            raise ConfigError(
                f"teacher.assistant.{role}.depth_anything.features: features of two models are of different spaces and "
                "are not passed on; set it to false"
            )
    primary, assistant = (_single(one, of_student) for one in pair)
    return AssistedTeacher(primary, assistant, primary_share=config.primary_share, seed=config.seed)
