"""tools/benchmark_loading.py end to end on made-up pictures: what it prints is what it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_report(checkout: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(checkout / "tools" / "benchmark_loading.py"), "--size", "64x96", "--samples", "2"]
    done = subprocess.run([*command, "--out", "out"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures_file, text_file = sorted((tmp_path / "out").iterdir())
    figures, text = json.loads(figures_file.read_text()), text_file.read_text()
    assert text_file.name == f"{figures['run']['date']}-loading.md"
    assert done.stdout == text + "\n"
    assert "made-up pictures: 6 JPEGs" in text
    assert figures["run"]["command"] == "python tools/benchmark_loading.py --size 64x96 --samples 2 --out out"


def test_no_samples_are_refused(checkout: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(checkout / "tools" / "benchmark_loading.py"), "--samples", "0", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (2, "error: --samples is 0; measure at least once\n")
