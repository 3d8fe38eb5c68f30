"""The tool: a tree from one command, the same with worker processes, and refusals in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[3] / "tools" / "make_synthetic.py"


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, check=False)


def test_writes_a_nuscenes_tree(tmp_path: Path) -> None:
    done = run_tool("--out", str(tmp_path), "--seeds", "1:2", "--frames", "2", "--size", "64x96")
    assert done.returncode == 0, done.stderr
    assert "1 scenes, 2 frames" in done.stdout
    assert len(json.loads((tmp_path / "v1.0-mini" / "sample.json").read_text())) == 2
    assert len(list((tmp_path / "samples" / "CAM_FRONT").glob("*.jpg"))) == 2
    assert list((tmp_path / "dense_depth").rglob("*.npz"))
    again = run_tool("--out", str(tmp_path), "--seeds", "2:3", "--frames", "1", "--size", "64x96")
    assert again.returncode == 2
    assert "already holds a tree" in again.stderr


@pytest.mark.slow
def test_workers_write_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    common = ("--seeds", "1:3", "--frames", "1", "--size", "64x96")
    assert run_tool("--out", str(one), *common).returncode == 0
    assert run_tool("--out", str(two), *common, "--workers", "2").returncode == 0
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--seeds", "a:b"), "--seeds"),
        (("--seeds", "3,3"), "each seed once"),
        (("--size", "big"), "--size"),
        (("--size", "65x96"), "65"),
    ],
    ids=["seeds", "repeated seed", "size", "stride"],
)
def test_refuses_in_one_line(tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    done = run_tool("--out", str(tmp_path), *arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr
