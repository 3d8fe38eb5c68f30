"""The presets' table: multiply-accumulates by hand, and every cell from what was measured."""

from __future__ import annotations

import pytest
import torch

from surround_depth.benchmarks.report import Table
from surround_depth.benchmarks.students import StudentCost, count_macs, engine_spec, measure, students_report
from surround_depth.errors import ConfigError
from surround_depth.imaging import InputSpec


def test_a_convolution_counts_what_a_pencil_counts() -> None:
    # the stem of nano at 6 x 352 x 640: each of 6 x 176 x 320 x 16 outputs sums 3 x 7 x 7 products
    stem = torch.nn.Conv2d(3, 16, 7, stride=2, padding=3)
    assert count_macs(stem, [torch.zeros(6, 3, 352, 640)]) == 6 * 176 * 320 * 16 * 3 * 7 * 7 == 794_787_840


def test_a_linear_layer_counts_each_weight_once_a_token() -> None:
    assert count_macs(torch.nn.Linear(5, 7), [torch.zeros(2, 3, 5)]) == 2 * 3 * 5 * 7


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
