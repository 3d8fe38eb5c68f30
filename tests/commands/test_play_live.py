"""The player's command, as a user types it: from another folder, with an engine that needs no torch."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_engine import write_tiny_engine

import surround_depth
from surround_depth.errors import EngineMismatchError


def play(checkout: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "tools" / "play_live.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_headless_from_any_folder(checkout: Path, tree: Path, tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    options = ("--engine", engine, "--headless", "--rate", 0, "--out", "played")
    result = play(checkout, tmp_path, "--dataset", "synthetic", "--root", tree, *options)
    assert result.returncode == 0, result.stderr
    assert "scene-0001" in result.stdout
    assert "AbsRel" in result.stdout
    report = json.loads((tmp_path / "played" / "report.json").read_text())
    assert report["frames"] == {"played": 3, "dropped": 0, "failed": 0}
    assert report["error_lidar"]["mean"]["abs_rel"] > 0.0
    assert report["error_dense_truth"]["coverage"] == 1.0
    assert {"mosaic.mp4", "mosaic.png", "cloud.ply"} <= {path.name for path in (tmp_path / "played").iterdir()}


def test_every_picture_with_masks_of_ones_own(checkout: Path, tree: Path, tmp_path: Path) -> None:
    """A mask that hides all of camera F: nothing there is scored any more."""
    masks = tmp_path / "masks"
    masks.mkdir()
    cv2.imwrite(str(masks / "F.png"), np.zeros((128, 192), np.uint8))
    cv2.imwrite(str(masks / "B.png"), np.full((128, 192), 255, np.uint8))
    engine = write_tiny_engine(tmp_path / "engine")
    options = ("--engine", engine, "--headless", "--rate", 0, "--out", "played", "--sweeps", "--masks", masks)
    options += ("--version", next(tree.glob("*/sample_data.json")).parent.name)
    result = play(checkout, tmp_path, "--dataset", "nuscenes", "--root", tree, *options)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "played" / "report.json").read_text())
    assert report["frames"]["played"] == 3
    pixels = {name: errors["n_pixels"] for name, errors in report["error_lidar"]["per_camera"].items()}
    assert pixels["F"] == 0 < pixels["B"]


def test_without_headless_it_says_where_to_look(checkout: Path, tree: Path, tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    options = ("--engine", engine, "--port", 0, "--max-frames", 1)
    result = play(checkout, tmp_path, "--dataset", "synthetic", "--root", tree, *options)
    assert result.returncode == 0, result.stderr
    assert "http://127.0.0.1:" in result.stdout


@pytest.mark.parametrize(
    "options, complaint",
    [
        (("--root", "nowhere"), "nowhere"),
        (("--scene", "scene-9999"), "scene-9999"),
        (("--engine", "nowhere"), "nowhere"),
        (("--rate", "-1"), "rate"),
    ],
)
def test_mistakes_are_one_line(
    checkout: Path, tree: Path, tmp_path: Path, options: tuple[str, str], complaint: str
) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    given = {"--root": str(tree), "--engine": str(engine), **{options[0]: options[1]}}
    flat = [part for pair in given.items() for part in pair]
    result = play(checkout, tmp_path, "--dataset", "synthetic", "--headless", *flat)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr


def test_without_any_engine_it_says_how_to_make_one(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("play_live", checkout / "tools" / "play_live.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(surround_depth, "__file__", str(tmp_path / "surround_depth" / "__init__.py"))
    with pytest.raises(EngineMismatchError, match=r"no engine at build/student.*python deploy/build_engine\.py"):
        script.default_engine()
