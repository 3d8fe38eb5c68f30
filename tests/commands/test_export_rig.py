"""The rig of a drive becomes a file that loads as the same rig."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from surround_depth.data.build import open_dataset
from surround_depth.rig import load_rig


def export_rig(checkout: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "tools" / "export_rig.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_file_holds_the_rig_of_the_drive(checkout: Path, tree: Path, tmp_path: Path) -> None:
    options = ("--dataset", "synthetic", "--root", tree, "--name", "boxes", "--out", "rigs/boxes.yaml")
    result = export_rig(checkout, tmp_path, *options)
    assert result.returncode == 0, result.stderr
    assert "2 cameras" in result.stdout
    written = load_rig(tmp_path / "rigs" / "boxes.yaml")
    recorded = open_dataset("synthetic", tree).sequence("scene-0001")[0].frame.rig
    assert written.name == "boxes"
    assert written.names == recorded.names
    np.testing.assert_allclose(written.T_ego_cam, recorded.T_ego_cam, atol=1e-6)
    for mine, theirs in zip(written.cameras, recorded.cameras, strict=True):
        np.testing.assert_allclose(mine.K, theirs.K, atol=1e-3)


def test_a_mistake_is_one_line(checkout: Path, tree: Path, tmp_path: Path) -> None:
    options = ("--dataset", "synthetic", "--root", tree, "--frame", 99, "--out", "r.yaml")
    result = export_rig(checkout, tmp_path, *options)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert not (tmp_path / "r.yaml").exists()
