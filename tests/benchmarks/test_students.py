"""The presets' table: every cell from what was measured."""

from __future__ import annotations

import pytest

from surround_depth.benchmarks.report import Table
from surround_depth.benchmarks.students import StudentCost, engine_spec, measure, students_report
from surround_depth.errors import ConfigError
from surround_depth.imaging import InputSpec


def test_the_table_says_what_was_measured() -> None:
    cost = StudentCost("small", 4_580_000, 24_000_000_000, 18_300_000, 411.6, 500.4, 1.818)
    spec = engine_spec(InputSpec(height_px=352, width_px=640), n_cameras=6)
    report = students_report([cost], spec, runs=50, threads=2)
    table, meaning = report.blocks
    assert isinstance(table, Table)
    assert table.rows == (("small", "4.58", "24.0", "18.3", "412", "500", "1.82"),)
    assert "6 x 352 x 640" in str(meaning)
    assert "2 threads" in str(meaning)
    assert report.figures["students"][0]["p95_ms"] == 500.4


def test_nothing_is_not_measured() -> None:
    spec = engine_spec(InputSpec(height_px=64, width_px=64), n_cameras=1)
    with pytest.raises(ConfigError, match="--runs is 0"):
        measure(["nano"], spec, runs=0, threads=1)
