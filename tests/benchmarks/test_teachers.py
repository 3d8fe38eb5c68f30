"""Students beside teachers: the teachers' published sizes, and every cell from what was measured."""

from __future__ import annotations

import pytest
import torch

from surround_depth.benchmarks import teachers
from surround_depth.benchmarks.report import Table
from surround_depth.benchmarks.teachers import Race, TeacherSpeed, measure, teacher_model, teacher_size, teachers_report
from surround_depth.errors import ConfigError
from surround_depth.imaging import InputSpec

RACE = Race(InputSpec(height_px=256, width_px=448), n_cameras=6, runs=5, threads=2)


@pytest.mark.parametrize(("shape", "millions"), [("S", 24.8), ("B", 97.5)])
def test_a_teacher_has_its_published_size(shape: teachers.TeacherShape, millions: float) -> None:
    with torch.device("meta"):
        model = teacher_model(shape)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_teacher_and_student_see_as_many_pixels() -> None:
    assert teacher_size(RACE.input) == (252, 448)


def test_the_table_says_what_was_measured() -> None:
    speed = TeacherSpeed("nano", "S", 24_800_000, student_p50_ms=40.0, teacher_p50_ms=2300.0)
    report = teachers_report([speed], RACE)
    table, meaning = report.blocks
    assert isinstance(table, Table)
    assert table.rows == (("nano", "Depth Anything V2 S (24.8 M)", "40", "2300", "57.5"),)
    assert "256 x 448" in str(meaning)
    assert "252 x 448" in str(meaning)
    assert report.figures["speeds"][0]["times_as_fast"] == 57.5


@pytest.mark.slow
def test_a_race_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(teachers._SHAPES, "S", (24, 2, 4, (1, 2, 3, 4), (8, 8, 8, 8), 8))
    (speed,) = measure(["pico"], ["S"], Race(InputSpec(height_px=64, width_px=96), 2, runs=2, threads=1))
    assert speed.student_p50_ms > 0
    assert speed.teacher_p50_ms > 0


def test_nothing_is_not_measured() -> None:
    with pytest.raises(ConfigError, match="--runs is 0"):
        measure(["nano"], ["S"], Race(RACE.input, 6, runs=0, threads=1))
