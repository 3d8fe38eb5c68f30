"""What training's tests share: the drive over a flat road, and a training that takes a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from box_tree import rendered
from box_world import BoxDrive, make_rig
from flat_road import FakeSequence
from whole_trees import write_nuscenes

from surround_depth.training.config import TrainConfig


@pytest.fixture(scope="session")
def fake_sequence() -> FakeSequence:
    return FakeSequence()


@pytest.fixture
def tiny_config() -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "name": "tiny",
            "input": {"height_px": 64, "width_px": 96},
            "data": {"root": "nowhere"},
            "optim": {"steps": 4, "lr": 1e-3},
            "watch": {"validate_every": 2, "n_val_samples": 2, "log_every": 1},
        }
    )


@pytest.fixture(scope="session")
def box_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nuScenes-format tree of two scenes, each two samples of two cameras; do not change it."""
    root = tmp_path_factory.mktemp("boxes") / "tree"
    rig = make_rig(("F", "B"))
    write_nuscenes(root, [rendered(BoxDrive(rig=rig, n_samples=2), name) for name in ("scene-0001", "scene-0002")])
    return root
