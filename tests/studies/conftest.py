"""A study that trains nothing: a trainer that writes its seed as weights, and scores that follow from it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from surround_depth.config import parse_config
from surround_depth.studies.config import StudyConfig

TREE: dict[str, Any] = {
    "name": "tiny",
    "train_set": "train",
    "sets": {
        "train": {"first_seed": 10, "n_drives": 2, "n_samples": 1, "height_px": 64, "width_px": 96, "n_workers": 1},
        "held": {
            "rig": "ring5",
            "first_seed": 20,
            "n_drives": 1,
            "n_samples": 1,
            "height_px": 64,
            "width_px": 96,
            "n_workers": 1,
        },
    },
    "base": {"input": {"height_px": 64, "width_px": 96}, "optim": {"steps": 2}, "watch": {"n_val_samples": 1}},
    "rows": {
        "default": {"what": "as it is"},
        "flat": {"what": "no fusion", "overrides": {"student.fusion_layers": 0}},
    },
    "seeds": [0, 1],
    "n_workers": 1,
    "evaluation": [{"set": "held", "conditions": ["clean", "dead", "corrupted"]}],
}


@pytest.fixture
def make_study() -> Callable[..., StudyConfig]:
    """Return what makes the tiny study with top-level keys replaced."""

    def make(**changes: Any) -> StudyConfig:
        return parse_config(StudyConfig, copy.deepcopy(TREE) | changes, "tiny")

    return make
