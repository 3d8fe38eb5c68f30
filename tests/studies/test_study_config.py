"""A study is checked whole before anything is rendered: every row, every set, and that nothing is scored twice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from surround_depth.errors import ConfigError
from surround_depth.studies.config import StudyConfig, load_study

from .conftest import TREE

STUDIES = sorted(p.stem for p in (Path(__file__).parents[2] / "surround_depth" / "configs" / "study").glob("*.yaml"))


@pytest.mark.parametrize("name", STUDIES)
def test_shipped_studies_are_whole(name: str) -> None:
    study = load_study(name)
    assert study.rows[study.reference].overrides.keys() <= {"teacher.kind", "loss"}
    assert len(study.seeds) >= 3


def test_the_student_study_asks_the_questions_of_the_ablation() -> None:
    study = load_study("student")
    assert study.others("regression") == ("bins_no_kl", "default")
    assert {entry.set: study.sets[entry.set].rig for entry in study.evaluation} == {
        "nuscenes": "nuscenes",
        "ddad": "ddad",
        "ring5": "ring5",
    }


def test_the_base_can_be_changed_for_every_row() -> None:
    study = load_study("student", ["base.optim.steps=7", "base.input.height_px=352"])
    config = study.train_config("zoom", 0, Path("here"))
    assert (config.optim.steps, config.input.height_px, config.augment.zoom) == (7, 352, (1.0, 1.6))


def test_a_row_is_the_base_with_its_overrides(make_study: Callable[..., StudyConfig]) -> None:
    study = make_study()
    default, flat = (study.train_config(row, 1, Path("here")) for row in ("default", "flat"))
    assert (default.student.fusion_layers, flat.student.fusion_layers) == (None, 0)
    assert (flat.seed, flat.name, flat.data.root) == (1, "tiny-flat-1", "here/data/train")
    assert flat.data.rendering == study.sets["train"]
    assert flat.model_copy(update={"student": default.student, "name": default.name}) == default


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"rows": {"default": {"what": "x", "overrides": {"optim.stps": 3}}}}, "row default: unknown key 'optim.stps'"),
        ({"rows": {"default": {"what": "x", "overrides": {"optim.steps.a": 3}}}}, "'steps' is a value"),
        ({"rows": {"default": {"what": "x", "overrides": {"seed": 3}}}}, "seed is set by the study"),
        ({"rows": {"default": {"what": "x", "agains": "y"}}}, "unknown key 'rows.default.agains'"),
        ({"rows": {"default": {"what": "x"}, "a": {"what": "x", "against": ["b"]}}}, "against b, which is no row"),
        ({"train_set": "other"}, "no set other; it has "),
        ({"reference": "other"}, "reference other, which is no row"),
        ({"teacher": "other"}, "teacher other, which is no row"),
        ({"teacher": "flat", "base": TREE["base"] | {"teacher": {"kind": "student"}}}, "cannot learn from itself"),
        ({"rows": TREE["rows"] | {"a": {"what": "x", "train_set": "held"}}}, "used twice"),
        ({"evaluation": [{"set": "train"}]}, "used twice"),
        ({"sets": TREE["sets"] | {"held": TREE["sets"]["held"] | {"first_seed": 11}}}, "shares street 11 with train"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(copy.deepcopy(TREE) | copy.deepcopy(changes)))
    with pytest.raises(ConfigError, match=complaint):
        load_study(path)


def test_a_student_from_elsewhere_may_teach(make_study: Callable[..., StudyConfig]) -> None:
    taught = {"what": "x", "overrides": {"teacher.kind": "student", "teacher.student.directory": "elsewhere/student"}}
    study = make_study(rows=TREE["rows"] | {"taught": taught})
    assert study.train_config("taught", 0, Path("out")).teacher.student.directory == "elsewhere/student"
    with pytest.raises(ConfigError, match=r"teacher\.student\.directory is set by the study itself"):
        make_study(rows=TREE["rows"] | {"taught": taught}, teacher="flat").train_config("taught", 0, Path("out"))
