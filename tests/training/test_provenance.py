"""What a checkpoint says about its origin."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from surround_depth.imaging import InputSpec
from surround_depth.models.config import student_preset
from surround_depth.models.student import Student
from surround_depth.training import provenance
from surround_depth.training.card import model_card
from surround_depth.training.config import TrainConfig
from surround_depth.training.samples import SamplePreparer, SampleStore
from surround_depth.training.validation import counted_pixels, validate

torch.set_num_threads(1)


def describe(config: TrainConfig, init: str | None = None) -> dict:  # type: ignore[type-arg]
    return provenance.describe_run(
        config,
        scenes={"train": ["a", "b"], "val": ["c"]},
        dataset_name="nuscenes",
        dataset_licence="CC BY-NC-SA 4.0",
        teacher=("depth-anything", "Apache-2.0"),
        initialised_from=init,
    )


def test_lineage_names_every_licence(tiny_config: TrainConfig) -> None:
    described = describe(tiny_config)
    assert [(e["kind"], e["licence"]) for e in described["lineage"]] == [
        ("data", "CC BY-NC-SA 4.0"),
        ("teacher", "Apache-2.0"),
        ("initialisation", "none"),
    ]
    assert describe(tiny_config, "nano_synthetic")["lineage"][2]["name"] == "nano_synthetic"
    assert json.loads(json.dumps(described))["config"]["optim"]["steps"] == 4
    assert describe(tiny_config)["scenes_sha256"] == described["scenes_sha256"]


def test_command_names_the_script_not_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/tools/train_fsmde.py", "--set", "a=b c"])
    assert provenance.command() == "python tools/train_fsmde.py --set 'a=b c'"


def test_a_card_before_the_first_validation(tiny_config: TrainConfig) -> None:
    card = model_card(tiny_config, describe(tiny_config), None, step=0, n_parameters=1_137_282)
    assert "Not validated yet" in card
    assert "1.14 M parameters" in card
    assert "synthetic streets only" in card


def test_validation_counts_what_can_be_judged_and_is_json(fake_sequence, tiny_config: TrainConfig) -> None:  # type: ignore[no-untyped-def]
    preparer = SamplePreparer(InputSpec(height_px=64, width_px=96), None)
    student = Student(student_preset("nano")).eval()
    for keep_truth in (True, False):
        store = SampleStore([fake_sequence], preparer, cache=False, keep_truth=keep_truth)
        sample = store[0]
        perfect_m = np.nan_to_num(sample.lidar_m, nan=1.0)
        validation, example = validate(student, store, [0], perfect_m)
        assert validation.baseline_lidar.abs_rel == 0.0
        assert (validation.dense.n_pixels > 0) == keep_truth
        assert validation.headline == (validation.dense if keep_truth else validation.lidar).abs_rel
        assert "NaN" not in json.dumps(validation.as_dict())
        assert example.depth_m.shape == (3, 64, 96)
        counted = counted_pixels(sample, sample.lidar_m, 0.5, 80.0)
        assert not (counted & sample.own_body).any()
        assert validation.lidar.n_pixels == counted.sum()
