"""`make demo` in small: every stage runs, and the page and its report come out (the numbers are not judged here)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from surround_depth.evaluation.demo_report import MEAN, START, STUDENT


@pytest.mark.slow
def test_demo_runs_to_the_end(checkout: Path, tmp_path: Path) -> None:
    sizes = ["--drives", "1", "--samples", "1", "--steps", "3", "--held-out-samples", "2"]
    result = subprocess.run(
        [sys.executable, str(checkout / "tools/demo.py"), "--out", "demo", *sizes],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode in (0, 1), result.stderr
    assert f"open {tmp_path / 'demo/index.html'}" in result.stdout
    report = json.loads((tmp_path / "demo/report.json").read_text())
    assert set(report["abs_rel"]) == {STUDENT, START, MEAN}
    for name in ("index.html", "live/mosaic.mp4", "live/cloud.ply", "pictures/front.jpg", "pictures/rear.jpg"):
        assert (tmp_path / "demo" / name).stat().st_size > 1000
