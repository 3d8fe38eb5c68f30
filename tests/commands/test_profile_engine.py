"""tools/profile_engine.py as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_engine import write_tiny_engine

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_report(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    command = [sys.executable, "tools/profile_engine.py", "--engine", engine, "--runs", "2", "--out", tmp_path / "out"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "| operator | ms | share |" in result.stdout
    assert len(list((tmp_path / "out").glob("*-operators.json"))) == 1
