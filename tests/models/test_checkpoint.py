"""Students on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from surround_depth.errors import DataError
from surround_depth.imaging import InputSpec
from surround_depth.models import checkpoint
from surround_depth.models.checkpoint import CheckpointConfig, load_student, save_student
from surround_depth.models.config import BinConfig
from surround_depth.models.presets import student_preset
from surround_depth.models.student import Student

SPEC = InputSpec(height_px=64, width_px=96)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Student, Path]:
    torch.manual_seed(0)
    student = Student(student_preset("nano", BinConfig(max_depth_m=60.0))).eval()
    directory = tmp_path / "student"
    save_student(
        directory, student, CheckpointConfig(student=student.config, input=SPEC, provenance={"seed": 7}), "# card\n"
    )
    return student, directory


def test_round_trip_is_exact_and_small(saved: tuple[Student, Path]) -> None:
    student, directory = saved
    assert (directory / "model.safetensors").stat().st_size < 6_000_000
    assert (directory / "README.md").read_text() == "# card\n"
    loaded = load_student(directory)
    assert loaded.config.student == student.config
    assert loaded.config.input == SPEC
    assert loaded.config.provenance["seed"] == 7
    assert not loaded.student.training
    for name, value in student.state_dict().items():
        assert torch.equal(loaded.student.state_dict()[name], value), name


def test_saving_again_replaces_everything_and_leaves_no_litter(saved: tuple[Student, Path]) -> None:
    student, directory = saved
    (directory / "stale").write_text("old")
    save_student(directory, student, CheckpointConfig(student=student.config, input=SPEC))
    assert sorted(p.name for p in directory.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert [p.name for p in directory.parent.iterdir()] == ["student"]


def test_a_failed_write_leaves_the_old_checkpoint(saved: tuple[Student, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    student, directory = saved

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_student(directory, student, CheckpointConfig(student=student.config, input=SPEC))
    assert load_student(directory)
    assert [p.name for p in directory.parent.iterdir()] == ["student"]


def test_damage_is_named(saved: tuple[Student, Path], tmp_path: Path) -> None:
    _, directory = saved
    with pytest.raises(DataError, match=r"nowhere: no config\.json"):
        load_student(tmp_path / "nowhere")
    weights = directory / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(DataError, match="damaged or truncated"):
        load_student(directory)
    weights.write_bytes(whole)
    path = directory / "config.json"
    tree = json.loads(path.read_text())
    path.write_text(json.dumps(tree | {"format_version": 99}))
    with pytest.raises(DataError, match="format_version 99"):
        load_student(directory)
    path.write_text(json.dumps(tree | {"surprise": 1}))
    with pytest.raises(DataError, match="surprise"):
        load_student(directory)
    tree["student"]["bins"]["n_bins"] = 32
    path.write_text(json.dumps(tree))
    with pytest.raises(DataError, match="do not fit"):
        load_student(directory)
    weights.unlink()
    with pytest.raises(DataError, match=r"no model\.safetensors"):
        load_student(directory)
