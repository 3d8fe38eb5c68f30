"""What training's tests share: the drive over a flat road, and a training that takes a second."""

from __future__ import annotations

import pytest
from flat_road import FakeSequence

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
