"""Depth models on disk: found or refused in one line, known by their weights, licensed as their cards say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_depth_models import save_depth_anything, save_dpt
from transformers import Dinov2Config

from surround_depth.errors import ConfigError
from surround_depth.teachers.depth_anything import DepthAnythingConfig, DepthAnythingTeacher
from surround_depth.teachers.teacher import TeacherInput
from surround_depth.teachers.weights_licences import weights_licence
from surround_depth.training.licences import effective_licence


def given() -> TeacherInput:
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 42, 3), dtype=np.uint8)
    return TeacherInput("frame-1", ("LEFT", "RIGHT"), images, np.ones(2, bool))


def teacher_of(folder: Path, **options: Any) -> DepthAnythingTeacher:
    return DepthAnythingTeacher(DepthAnythingConfig(source=str(folder), **options))


@pytest.fixture(scope="module")
def relative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("relative")
    save_depth_anything(folder)
    return folder


def test_fingerprint_is_of_weights_and_settings_not_of_the_place(tmp_path: Path, relative: Path) -> None:
    fingerprint = teacher_of(relative).fingerprint
    copy, other = tmp_path / "copy", tmp_path / "other"
    save_depth_anything(copy)
    assert teacher_of(copy, licence="MIT").fingerprint == fingerprint
    save_depth_anything(other, seed=1)
    changed = [teacher_of(other), teacher_of(copy, short_side_px=56), teacher_of(copy, sky_fraction=0.1)]
    changed += [teacher_of(copy, output="depth"), teacher_of(copy, dtype="bfloat16"), teacher_of(copy, features=True)]
    path = copy / "preprocessor_config.json"
    before = {one.fingerprint for one in changed}
    path.write_text(json.dumps({"image_mean": [0.0, 0.0, 0.0]}))
    assert len(before | {fingerprint, teacher_of(copy).fingerprint}) == len(changed) + 2


def test_licences() -> None:
    def licence(source: str, stated: str | None = None) -> tuple[str, tuple[str, ...]]:
        text = weights_licence(source, stated)
        return text, effective_licence([{"kind": "teacher", "name": source, "licence": text}]).terms

    assert licence("depth-anything/Depth-Anything-V2-Small-hf") == ("Apache-2.0", ("attribution",))
    assert "non-commercial" in licence("depth-anything/Depth-Anything-V2-Large-hf")[1]
    assert "share alike" in licence("depth-anything/Depth-Anything-V2-Metric-Outdoor-Large-hf")[1]
    assert licence("/somewhere/mine") == ("not known here; the card of mine says it", ("unknown",))
    assert licence("/somewhere/mine", "MIT") == ("MIT", ("attribution",))


def test_a_source_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"nobody/nothing.*no local directory.*allow_download=true"):
        DepthAnythingTeacher(DepthAnythingConfig(source="nobody/nothing"))
    with pytest.raises(ConfigError, match=f"teacher '{tmp_path.name}'"):
        teacher_of(tmp_path)  # empty
    Dinov2Config().save_pretrained(tmp_path / "backbone")
    with pytest.raises(ConfigError, match=r"'dinov2' is no depth model.*depth_anything"):
        teacher_of(tmp_path / "backbone")
    save_depth_anything(tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"no model\.safetensors"):
        teacher_of(tmp_path / "pickled")


def test_weights_of_another_model_or_a_torn_file_are_refused(tmp_path: Path) -> None:
    save_depth_anything(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    save_dpt(tmp_path / "dpt")
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "dpt" / "model.safetensors").read_bytes())
    with pytest.raises(ConfigError, match="weights"):
        teacher_of(tmp_path)(given())
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="cannot be loaded"):
        teacher_of(tmp_path)(given())


def test_sharded_weights_are_found_and_hashed(tmp_path: Path, relative: Path) -> None:
    model = save_depth_anything(tmp_path / "whole")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    (tmp_path / "shards" / "preprocessor_config.json").write_bytes((relative / "preprocessor_config.json").read_bytes())
    teacher = teacher_of(tmp_path / "shards")
    assert len(teacher.files.weights) > 1
    assert np.array_equal(teacher(given()).inverse_depth, teacher_of(relative)(given()).inverse_depth)
    shard = teacher.files.weights[-1]
    before = teacher.fingerprint
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x7f")
    assert teacher_of(tmp_path / "shards").fingerprint != before
    shard.unlink()
    with pytest.raises(ConfigError, match="which is not there"):
        teacher_of(tmp_path / "shards")
