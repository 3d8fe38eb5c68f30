"""Every row of the comparison of recipes takes steps as it is written: labels, adapters, terms and gradients.

A student from pairs does in test_stereo_distillation.py.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from box_tree import rendered
from box_world import BoxDrive, make_rig
from whole_trees import write_nuscenes

from surround_depth.config import parse_config
from surround_depth.imaging import InputSpec
from surround_depth.losses.build import weights_of
from surround_depth.models.checkpoint import CheckpointConfig, save_student
from surround_depth.models.presets import student_preset
from surround_depth.models.student import Student
from surround_depth.studies.config import load_study
from surround_depth.training.config import TrainConfig
from surround_depth.training.drives import open_drives
from surround_depth.training.loop import Trainer
from surround_depth.training.process import start_processes
from surround_depth.training.run import open_adapters
from surround_depth.training.stages import open_stages
from surround_depth.training.student_teacher import open_teacher

STUDY = load_study("distillation")
SPEC = InputSpec(height_px=64, width_px=96)
SKY = ("sky", "confidence_sky")  # which a teacher that learnt nothing may not see


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    student = Student(student_preset("pico")).eval()
    folder = tmp_path_factory.mktemp("teacher") / "student"
    save_student(folder, student, CheckpointConfig(student=student.config, input=SPEC))
    return folder


@pytest.fixture(scope="module")
def ring_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of a whole ring of cameras, which see some of the same."""
    root = tmp_path_factory.mktemp("ring") / "tree"
    write_nuscenes(root, [rendered(BoxDrive(rig=make_rig(), n_samples=2), name) for name in ("scene-1", "scene-2")])
    return root


def small(row: str, tree: Path, teacher: Path) -> TrainConfig:
    """Return a row's configuration at a small size, on the tree that is there."""
    config: dict[str, Any] = copy.deepcopy(STUDY.train_config(row, 0, Path("out")).model_dump())
    config["input"] = SPEC.model_dump()
    config["data"] |= {"root": str(tree), "render": False, "val_scenes": ()}
    config["student"]["preset"] = "pico"
    config["optim"] |= {"steps": 20, "batch_size": 1}
    config["teacher"]["student"]["directory"] = str(teacher)
    if config["teacher"]["assistant"] is not None:
        config["teacher"]["assistant"]["primary"]["student"]["directory"] = str(teacher)
    return parse_config(TrainConfig, config, row)


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in STUDY.rows if STUDY.set_of(row) != "pairs"])
def test_a_row_learns(row: str, ring_tree: Path, teacher: Path) -> None:
    config = small(row, ring_tree, teacher)
    torch.manual_seed(0)
    student = Student(config.student.resolve())
    stages = open_stages(config, open_drives(config.data), open_teacher(config.teacher), rank=0, n_processes=1)
    trainer = Trainer(student, config, start_processes("cpu", "fp32"), open_adapters(config, student, stages))
    coming = stages.after(0)
    for _ in range(3):
        report = trainer.take_step(next(coming))
    assert set(report.loss.terms) == set(weights_of(config.loss)) | {"silog"}
    assert torch.isfinite(report.loss.total)
    assert 0.0 < report.gradient_norm < 1e6
    idle = [name for name, term in report.loss.terms.items() if int(term.count) == 0 and name not in SKY]
    assert idle == []
