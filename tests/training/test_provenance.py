"""What a checkpoint says about its origin."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flat_road import FakeSequence

from surround_depth.data.splits import Split
from surround_depth.imaging import InputSpec
from surround_depth.models.checkpoint import CheckpointConfig, save_student
from surround_depth.models.config import EncoderConfig
from surround_depth.models.student import Student
from surround_depth.teachers.build import TeacherConfig
from surround_depth.training import provenance
from surround_depth.training.card import model_card
from surround_depth.training.config import DataConfig, DataSetConfig, RenderConfig, StudentChoice, TrainConfig
from surround_depth.training.drives import Drives, DriveSet
from surround_depth.training.rendering_record import write_record


@dataclass(frozen=True)
class FakeData:
    name: str = "nuscenes"
    licence: str = "nuScenes: CC BY-NC-SA 4.0 and terms"
    tables_sha256: str = "ab12"
    split: Split | None = None


@dataclass(frozen=True)
class FakeTeacher:
    name: str = "depth-anything"
    licence: str = "Apache-2.0"
    fingerprint = "0123"
    metric = False

    def __call__(self, sample: Any) -> Any:
        raise NotImplementedError


def drive_set(data: FakeData, train: str, val: str, key: str = "data", root: str = "nowhere") -> DriveSet:
    drives = {role: tuple(FakeSequence(name) for name in names) for role, names in (("train", train), ("val", val))}
    return DriveSet(key, DataSetConfig(root=root), data, data, drives["train"], drives["val"])  # type: ignore[arg-type]


NUSCENES = drive_set(FakeData(), "ab", "c")
DDAD = drive_set(FakeData("ddad", "CC BY-NC-SA 4.0", "cd34"), "c", "a", "data.joint.0")


def origin(config: TrainConfig, *sets: DriveSet, init: Path | None = None) -> dict[str, Any]:
    return provenance.run_origin(config, Drives(sets or (NUSCENES,)), FakeTeacher(), init)


def test_lineage_names_every_licence_and_the_strictest_binds(tiny_config: TrainConfig) -> None:
    described = origin(tiny_config, NUSCENES, DDAD)
    assert [(e["kind"], e["name"], e["licence"]) for e in described["lineage"]] == [
        ("data", "nuscenes", "nuScenes: CC BY-NC-SA 4.0 and terms"),
        ("data", "ddad", "CC BY-NC-SA 4.0"),
        ("teacher", "depth-anything", "Apache-2.0"),
        ("initialisation", "random", "none"),
    ]
    assert described["licence"]["name"] == "CC BY-NC-SA 4.0"
    assert described["licence"]["because_of"] == ["data nuscenes", "data ddad"]
    assert described["config"]["optim"]["steps"] == 4
    assert json.loads(json.dumps(described)) == described
    same_kind = [e["kind"] for e in origin(tiny_config, NUSCENES, replace(NUSCENES, key="data.joint.0"))["lineage"]]
    assert same_kind == ["data", "teacher", "initialisation"]


def test_starting_weights_hand_on_what_they_were_made_of(tiny_config: TrainConfig, tmp_path: Path) -> None:
    student = Student(tiny_config.student.resolve())
    spec, data = InputSpec(height_px=64, width_px=96), {"kind": "data", "name": "x", "licence": "non-commercial"}

    def save(name: str, stated: dict[str, Any]) -> Path:
        save_student(tmp_path / name, student, CheckpointConfig(student=student.config, input=spec, provenance=stated))
        return tmp_path / name

    told, silent = save("told", {"lineage": [data]}), save("silent", {})
    lineage = origin(tiny_config, init=told)["lineage"]
    weights = (told / "model.safetensors").read_bytes()
    assert (lineage[2]["name"], lineage[2]["weights_sha256"]) == ("told", hashlib.sha256(weights).hexdigest())
    assert lineage[3] == data | {"kind": "parent's data"}
    described = origin(tiny_config, init=silent)
    assert described["lineage"][3]["licence"] == "not stated in its provenance"
    assert described["licence"]["terms"][-1] == "unknown"


def test_a_pretrained_encoder_is_named_and_of_a_licence_that_is_not_known(tiny_config: TrainConfig) -> None:
    encoder = EncoderConfig(source="microsoft/resnet-18")
    pretrained = tiny_config.model_copy(update={"student": StudentChoice(encoder=encoder)})
    described = origin(pretrained)
    assert described["lineage"][-1]["name"] == "microsoft/resnet-18"
    assert described["licence"]["because_of"] == ["pretrained encoder microsoft/resnet-18"]
    assert "the card of microsoft/resnet-18 says it" in described["licence"]["name"]


def test_scenes_of_one_name_are_kept_apart_by_set(tiny_config: TrainConfig) -> None:
    described = origin(tiny_config, NUSCENES, DDAD)
    assert [(one["key"], one["scenes"]["train"], one["n_samples"]["train"]) for one in described["data"]] == [
        ("data", ["a", "b"], 6),
        ("data.joint.0", ["c"], 3),
    ]
    assert described["scenes"] == {"train": ["a", "b", "c"], "val": ["c", "a"]}


def test_the_data_hash_is_of_tables_lists_roles_and_rendering(tiny_config: TrainConfig, tmp_path: Path) -> None:
    listed = FakeData(split=Split("val", "scenes", ("c",), "ef56"))
    write_record(tmp_path, RenderConfig(n_drives=3))
    sets = (
        NUSCENES,
        drive_set(FakeData(tables_sha256="other"), "ab", "c"),
        drive_set(FakeData(), "a", "c"),
        drive_set(FakeData(), "ab", "c", root=str(tmp_path)),
        replace(NUSCENES, val_data=listed),
        replace(NUSCENES, config=DataSetConfig(root="nowhere", repeat=2)),
    )
    described = [origin(tiny_config, one) for one in sets]
    assert len({one["data_sha256"] for one in described}) == len(sets)
    assert origin(tiny_config, replace(NUSCENES, config=DataSetConfig(root="moved"))) == described[0]
    assert described[3]["data"][0]["rendering"]["rendering"]["n_drives"] == 3
    assert described[4]["data"][0]["lists"] == {"train": None, "val": {"name": "val", "sha256": "ef56"}}


def test_command_names_the_script_not_the_machine(tiny_config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/tools/train_fsmde.py", "--set", "a=b c"])
    assert origin(tiny_config)["command"] == "python tools/train_fsmde.py --set 'a=b c'"


def card(config: TrainConfig, *sets: DriveSet) -> str:
    return model_card(config, origin(config, *sets), None, step=0, n_parameters=1_137_282)


def test_a_card_before_the_first_validation(tiny_config: TrainConfig) -> None:
    text = card(tiny_config)
    assert "Not validated yet" in text
    assert "1.14 M parameters" in text
    assert "synthetic streets only" in text
    assert "**CC BY-NC-SA 4.0** (attribution, share alike, non-commercial)" in text
    assert "here of data nuscenes." in text
    free = replace(NUSCENES, train_data=FakeData("synthetic", "none"))
    described = provenance.run_origin(tiny_config, Drives((free,)), None, None)
    text = model_card(tiny_config, described, None, step=0, n_parameters=1)
    assert "Nothing that these weights were made of binds them" in text


def test_the_card_names_every_set_and_what_counted(tiny_config: TrainConfig) -> None:
    names = tuple(FakeSequence(f"scene-{i:04d}") for i in range(100, 246))
    text = card(tiny_config, replace(NUSCENES, train=names), DDAD)
    assert "- data (nuscenes)\n  - training scenes: scene-0100 ... scene-0245 (146)" in text
    assert "- data.joint.0 (ddad)\n  - training scenes: c (1)\n  - validation scenes: a (1)" in text
    assert "silog 1, sky 0.5, confidence 0.5, confidence_sky 0.1, kl 1;" in text
    joint = DataConfig(kind="nuscenes", root="r", joint=(DataSetConfig(root="r"),), validate_on="train")
    text = card(tiny_config.model_copy(update={"data": joint}))
    assert "the rigs of 2 data sets" in text
    assert "These are no held-out scenes" in text


def test_the_card_says_what_a_simulated_teacher_is(tiny_config: TrainConfig) -> None:
    assert "no evidence for what distillation from a real teacher brings" in card(tiny_config)
    none = tiny_config.model_copy(update={"teacher": TeacherConfig(kind="none")})
    assert "no evidence" not in card(none)
