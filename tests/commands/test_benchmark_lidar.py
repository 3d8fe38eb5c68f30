"""tools/benchmark_lidar.py end to end: a table for people, the same numbers for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "benchmark_lidar.py"


def test_report(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOL), "--repeats", "1", "--rig", "ddad", "--out", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    figures_file, table_file = sorted((tmp_path / "out").iterdir())
    report, table = json.loads(figures_file.read_text()), table_file.read_text()
    assert table_file.name == f"{report['run']['date']}-lidar.md"
    assert result.stdout == table + "\n"
    assert report["rig"] == "ddad"
    for timing in report["timings"]:
        assert timing["kernel_ms"] > 0
        assert f"| {timing['task']} | {timing['kernel_ms']:.2f} |" in table
    assert str(tmp_path) not in table
