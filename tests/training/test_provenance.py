"""What a checkpoint says about its origin."""

from __future__ import annotations

import json
import sys

import pytest

from surround_depth.teachers.build import TeacherConfig
from surround_depth.training import provenance
from surround_depth.training.card import model_card
from surround_depth.training.config import TrainConfig


def describe(config: TrainConfig, parent: provenance.ParentWeights | None = None) -> dict:  # type: ignore[type-arg]
    return provenance.describe_run(
        config,
        scenes={"train": ["a", "b"], "val": ["c"]},
        dataset_name="nuscenes",
        dataset_licence="CC BY-NC-SA 4.0",
        teacher=("depth-anything", "Apache-2.0"),
        parent=parent,
    )


def test_lineage_names_every_licence(tiny_config: TrainConfig) -> None:
    described = describe(tiny_config)
    assert [(e["kind"], e["licence"]) for e in described["lineage"]] == [
        ("data", "CC BY-NC-SA 4.0"),
        ("teacher", "Apache-2.0"),
        ("initialisation", "none"),
    ]
    parent = provenance.ParentWeights("nano", "ab12", ({"kind": "data", "name": "x", "licence": "non-commercial"},))
    tuned = describe(tiny_config, parent)["lineage"]
    assert (tuned[2]["name"], tuned[2]["weights_sha256"]) == ("nano", "ab12")
    assert tuned[3] == {"kind": "parent's data", "name": "x", "licence": "non-commercial"}
    silent = describe(tiny_config, provenance.ParentWeights("nano", "ab12", ()))["lineage"]
    assert silent[3]["licence"] == "not stated in its provenance"
    assert json.loads(json.dumps(described))["config"]["optim"]["steps"] == 4
    assert describe(tiny_config)["scenes_sha256"] == described["scenes_sha256"]


def test_command_names_the_script_not_the_machine(tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/tools/train_fsmde.py", "--set", "a=b c"])
    assert describe(tiny_config)["command"] == "python tools/train_fsmde.py --set 'a=b c'"


def test_a_card_before_the_first_validation(tiny_config: TrainConfig) -> None:
    card = model_card(tiny_config, describe(tiny_config), None, step=0, n_parameters=1_137_282)
    assert "Not validated yet" in card
    assert "1.14 M parameters" in card
    assert "synthetic streets only" in card


def test_the_card_says_what_a_simulated_teacher_is_and_shortens_many_names(tiny_config: TrainConfig) -> None:
    names = [f"scene-{i:04d}" for i in range(100, 246)]
    origin = describe(tiny_config) | {"scenes": {"train": names, "val": ["c"]}}
    card = model_card(tiny_config, origin, None, step=0, n_parameters=1)
    assert "scene-0100 ... scene-0245 (146)" in card
    assert "no evidence for what distillation from a real teacher brings" in card
    none = tiny_config.model_copy(update={"teacher": TeacherConfig(kind="none")})
    assert "no evidence" not in model_card(none, origin, None, step=0, n_parameters=1)
