"""The command that trains the stereo teacher, on a small tree; and what it refuses."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from box_tree import rendered
from box_world import BoxDrive, make_rig
from whole_trees import write_nuscenes

from surround_depth.config import load_config
from surround_depth.data.stereo_partners import with_partners
from surround_depth.errors import ConfigError
from surround_depth.rig import load_rig
from surround_depth.teachers.stereo_checkpoint import read_stereo_config
from surround_depth.training.stereo_config import StereoTrainConfig

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "train_stereo.py"
SMALL = (
    "input={height_px: 32, width_px: 64}",
    "net={channels: 8, groups: 4, volume_channels: 4, max_disparity_px: 16}",
    "data.n_val_drives=1",
    "steps=2",
)


def command(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return int(end.value.code or 0)


def test_it_trains_on_a_tree_with_partners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = with_partners(make_rig(("F",)))
    drives = [BoxDrive(rig=rig, n_samples=2, stagger_ns=0) for _ in range(2)]
    names = ("scene-0001", "scene-0002")
    write_nuscenes(tmp_path / "tree", [rendered(one, name) for one, name in zip(drives, names, strict=True)])
    settings = [word for one in (*SMALL, f"data.root={tmp_path / 'tree'}") for word in ("--set", one)]
    out = tmp_path / "out"
    assert command("--config", "synthetic_stereo", *settings, "--out", str(out), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert f"teacher: {out / 'teacher'}" in printed
    assert "one disparity for all pixels: " in printed
    facts = read_stereo_config(out / "teacher").provenance
    assert facts["drives"] == {"train": ("scene-0001",), "val": ("scene-0002",)}
    assert load_config(StereoTrainConfig, out / "resolved.yaml").steps == 2


def test_what_it_cannot_do_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--set", f"data.root={tmp_path}", "--set", "rendering=null", "--set", "data.kind=kitti_2015")
    assert command("--config", "synthetic_stereo", *settings, monkeypatch=monkeypatch) == 2
    assert "holds no NUMBER_10.png" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="rendering makes synthetic streets"):
        load_config(StereoTrainConfig, "synthetic_stereo", ["data.kind=kitti_2015"])


def test_the_shipped_config_renders_a_rig_with_partners() -> None:
    rendering = load_config(StereoTrainConfig, "synthetic_stereo").rendering
    assert rendering is not None
    assert load_rig(rendering.rig).names == ("CAM_FRONT", "CAM_FRONT_PARTNER")
