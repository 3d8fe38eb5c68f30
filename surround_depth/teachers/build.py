"""Which teacher: one readable choice."""

from __future__ import annotations

from typing import Literal

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError
from surround_depth.teachers.simulated import SimulatedTeacher, SimulatedTeacherConfig
from surround_depth.teachers.teacher import Teacher


class TeacherConfig(StrictModel):
    """The teacher of a training run; `none` trains on LiDAR alone."""

    kind: Literal["simulated", "none"] = "simulated"
    simulated: SimulatedTeacherConfig = SimulatedTeacherConfig()


def build_teacher(config: TeacherConfig) -> Teacher | None:
    """Return the teacher, or None for training on LiDAR alone."""
    match config.kind:
        case "simulated":
            return SimulatedTeacher(config.simulated)
        case "none":
            return None
        case _:
            raise ConfigError(f"teacher.kind: '{config.kind}' is unknown")
