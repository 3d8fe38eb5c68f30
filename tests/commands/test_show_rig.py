"""`tools/show_rig.py` and `tools/export_rig.py`, as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from surround_depth.rig import load_rig


def run(checkout: Path, script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "tools" / script), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("dataset, scene, points", [("nuscenes", "scene-0061", 3704), ("ddad", "scene_01", 10872)])
def test_real_pictures(checkout, tmp_path, real_data, dataset, scene, points):
    root = real_data / dataset
    result = run(
        checkout, "show_rig.py", "--dataset", dataset, "--root", root, "--scene", scene, "--out", "o", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert f"{points} LiDAR points" in result.stdout
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["overlay.png", "rig.png"]


def test_exported_rig_reads_back(checkout, tmp_path, real_data):
    root = real_data / "nuscenes"
    result = run(checkout, "export_rig.py", "--dataset", "nuscenes", "--root", root, "--out", "rig.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    exported, shipped = load_rig(tmp_path / "rig.yaml"), load_rig("nuscenes")
    assert exported.names == shipped.names
    np.testing.assert_allclose(exported.T_ego_cam, shipped.T_ego_cam, atol=1e-12)
    assert [c.trigger_offset_ms for c in exported.cameras] == [c.trigger_offset_ms for c in shipped.cameras]


@pytest.mark.parametrize(
    "script, arguments, complaint",
    [
        ("show_rig.py", ["--root", "nowhere", "--out", "o"], "'nowhere' is not a folder"),
        ("export_rig.py", ["--root", "nowhere", "--out", "o.yaml"], "'nowhere' is not a folder"),
    ],
)
def test_a_mistake_is_one_line(checkout, tmp_path, script, arguments, complaint):
    result = run(checkout, script, "--dataset", "ddad", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
