"""tools/benchmark_students.py end to end: a table for people, the same numbers for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "benchmark_students.py"


@pytest.mark.slow
def test_report(tmp_path: Path) -> None:
    options = ["--presets", "nano", "pico", "--size", "64x64", "--cameras", "1", "--runs", "3", "--threads", "1"]
    command = [sys.executable, str(TOOL), *options, "--out", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    figures_file, table_file = sorted((tmp_path / "out").iterdir())
    report, table = json.loads(figures_file.read_text()), table_file.read_text()
    assert result.stdout == table + "\n"
    assert str(tmp_path) not in table
    nano, pico = report["students"]
    assert (nano["preset"], pico["preset"], report["input"]) == ("nano", "pico", "1 x 64 x 64")
    assert 0.4e6 < pico["parameters"] < 1.0e6 < nano["parameters"] < 1.2e6
    assert 10e6 < pico["macs"] < nano["macs"] < 40e6
    for student in report["students"]:
        assert student["graph_bytes"] > 4 * 0.95 * student["parameters"]  # all of them, as float32
        assert 0 < student["p50_ms"] <= student["p95_ms"]
        assert f"| {student['preset']} | {student['parameters'] / 1e6:.2f} |" in table


def test_an_unknown_preset_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOL), "--presets", "huge", "--out", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert result.returncode != 0
    assert "student preset 'huge' is unknown; choose one of pico, nano" in result.stderr
    assert "Traceback" not in result.stderr
