"""The scorer's command: its files, its baselines, its refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tiny_engine import write_tiny_engine


def evaluate(checkout: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "tools" / "evaluate.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_scores_and_pictures_from_any_folder(checkout: Path, tree: Path, tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    options = ("--engine", engine, "--mean-of", "scene-0001", "--out", "scores")
    result = evaluate(checkout, tmp_path, "--dataset", "synthetic", "--root", tree, *options)
    assert result.returncode == 0, result.stderr
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert set(scores) == {"dense", "lidar"}
    assert set(scores["dense"]) == {"model", "per-pixel mean", "per-pixel median"}
    # the drive stands before its own mean
    assert scores["dense"]["per-pixel median"]["mean"]["abs_rel"] < scores["dense"]["model"]["mean"]["abs_rel"]
    assert "per-pixel median" in (tmp_path / "scores" / "scores.md").read_text()
    assert (tmp_path / "scores" / "scene-0001.jpg").stat().st_size > 1000


def test_mistakes_are_one_line(checkout: Path, tree: Path, tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    common = ("--engine", engine, "--dataset", "synthetic", "--out", "scores")
    for options, complaint in (
        (("--root", "nowhere"), "nowhere"),
        (("--root", tree, "--scenes", "scene-9999"), "scene-9999"),
    ):
        result = evaluate(checkout, tmp_path, *common, *options)
        assert result.returncode == 2
        assert complaint in result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
