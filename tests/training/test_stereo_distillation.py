"""One training step of a student taught by pairs: the terms of D11 to D13 are finite, and the partner stays unseen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from box_tree import rendered
from box_world import BoxDrive, make_rig
from whole_trees import write_nuscenes

from surround_depth.config import parse_config
from surround_depth.data.stereo_partners import with_partners
from surround_depth.evaluation.baseline import per_pixel_mean_m
from surround_depth.imaging import InputSpec
from surround_depth.models.checkpoint import read_checkpoint_config
from surround_depth.teachers.stereo_checkpoint import StereoCheckpointConfig, save_stereo
from surround_depth.teachers.stereo_net import StereoNet, StereoNetConfig
from surround_depth.training.config import TrainConfig
from surround_depth.training.run import run_training

NET = StereoNetConfig(channels=8, groups=4, volume_channels=4, max_disparity_px=32)


class Watcher:
    def __init__(self) -> None:
        self.terms: list[dict[str, float]] = []

    def on_step(self, step: int, report) -> None:  # type: ignore[no-untyped-def]
        self.terms.append({name: float(term.count) for name, term in report.loss.terms.items()})
        assert torch.isfinite(report.loss.total)

    def on_validation(self, step: int, validation: object) -> None: ...

    def on_notice(self, text: str) -> None: ...


@pytest.mark.slow
def test_a_student_learns_from_a_teacher_that_sees_pairs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    kept = StereoCheckpointConfig(
        net=NET, input=InputSpec(height_px=64, width_px=96), provenance={"licence": {"name": "none"}}
    )
    save_stereo(tmp_path / "teacher", StereoNet(NET), kept, "")
    rig = with_partners(make_rig(("FL", "F", "FR")), ("F",))
    drives = [rendered(BoxDrive(rig=rig, n_samples=1, stagger_ns=0), f"scene-000{i}") for i in (1, 2)]
    write_nuscenes(tmp_path / "tree", drives)
    tree = {
        "name": "taught-by-pairs",
        "input": {"height_px": 64, "width_px": 96},
        "student": {"preset": "pico"},
        "data": {"root": str(tmp_path / "tree")},
        "teacher": {"kind": "stereo", "stereo": {"directory": str(tmp_path / "teacher"), "far_m": 1e6}},
        "loss": {"kl": 0.0, "privileged": {"attention": 0.5, "response": 0.5, "trust": True}},
        "optim": {"steps": 2},
        "watch": {"n_val_samples": 1},
    }
    watcher = Watcher()
    result = run_training(
        parse_config(TrainConfig, tree, "test"),
        tmp_path / "run",
        watcher=watcher,
        per_pixel_mean=per_pixel_mean_m,
    )
    assert len(watcher.terms) == 2
    assert all(terms["attention"] > 0 and terms["response"] > 0 for terms in watcher.terms)
    lineage = read_checkpoint_config(result.directory).provenance["lineage"]
    assert any(entry["name"].startswith("stereo ") for entry in lineage)
