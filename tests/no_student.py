"""For tests of teachers that are none of our students."""

from __future__ import annotations

from typing import NoReturn

from surround_depth.teachers.build import StudentTeacherConfig


def no_student(config: StudentTeacherConfig) -> NoReturn:
    """Fail: nothing in the test asks for a student."""
    raise AssertionError(f"no student was asked for: {config}")
