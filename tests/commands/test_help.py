"""Every command answers --help from any directory, quickly, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(path for folder in ("tools", "deploy", "calib") for path in (CHECKOUT / folder).glob("*.py"))
HEAVY = ("torch", "open3d", "onnxruntime", "onnx", "transformers", "tensorboard", "numba")

# Runs a script with --help and then says on stderr which heavy packages it loaded.
PROBE = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
sys.path[0] = sys.argv[0].rsplit("/", 1)[0]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("loaded", *[name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


def test_there_are_commands() -> None:
    assert {path.name for path in COMMANDS} >= {"train_fsmde.py", "play_live.py", "build_engine.py", "demo.py"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_help_is_light(command: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), str(command)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert "usage:" in result.stdout
    assert result.stderr.split()[-1:] == ["loaded"], f"--help loads heavy packages: {result.stderr}"


def test_the_probe_bites(tmp_path: Path) -> None:
    (tmp_path / "heavy.py").write_text("import onnxruntime\nprint('usage: heavy')\n")
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), str(tmp_path / "heavy.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "onnxruntime" in result.stderr.split()
