"""An assistant is chosen, never averaged; who is asked depends on the sample alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from no_student import no_student

from surround_depth.config import parse_config
from surround_depth.errors import ConfigError
from surround_depth.teachers.build import TeacherConfig, build_teacher
from surround_depth.teachers.ensemble import AssistedTeacher, teacher_lineage
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel


class Constant:
    """A teacher that sees the same inverse depth everywhere."""

    def __init__(self, value: float, *, licence: str = "MIT", metric: bool = False) -> None:
        self.name, self.licence, self.metric, self.value = f"constant {value}", licence, metric, value
        self.fingerprint = str(value)

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        label = np.full(sample.images.shape[:3], self.value, np.float32)
        yes = np.ones(label.shape, bool)
        return TeacherLabel(label, yes, ~yes, np.zeros((len(label), 2, 1, 1), np.float16))


def given(sample_id: str) -> TeacherInput:
    return TeacherInput(sample_id, ("A", "B"), np.zeros((2, 2, 3, 3), np.uint8), np.ones(2, bool))


def asked(teacher: AssistedTeacher, n: int = 3000) -> np.ndarray:
    return np.array([teacher.chosen(f"sample-{i}") is teacher.primary for i in range(n)])


def test_seven_of_ten_samples_are_the_primary_s() -> None:
    teacher = AssistedTeacher(Constant(1.0), Constant(2.0))
    # 3000 draws of 0.7 stay within four standard deviations of their mean
    assert abs(asked(teacher).mean() - 0.7) < 4 * np.sqrt(0.7 * 0.3 / 3000)
    assert asked(AssistedTeacher(Constant(1.0), Constant(2.0), primary_share=1.0)).all()
    assert not asked(AssistedTeacher(Constant(1.0), Constant(2.0), primary_share=0.0)).any()


def test_every_process_and_every_pass_asks_the_same_one() -> None:
    first, again = (AssistedTeacher(Constant(1.0), Constant(2.0)) for _ in range(2))
    assert np.array_equal(asked(first), asked(again)[::-1][::-1])
    backwards = [again.chosen(f"sample-{i}") is again.primary for i in reversed(range(3000))]
    assert np.array_equal(asked(first), backwards[::-1])
    other_seed = asked(AssistedTeacher(Constant(1.0), Constant(2.0), seed=1))
    assert abs((asked(first) != other_seed).mean() - 2 * 0.7 * 0.3) < 0.05  # independent, not merely moved
    digest = hashlib.sha256(b"assistant/0/sample-0").digest()
    assert asked(first)[0] == (int.from_bytes(digest[:7], "little") < 0.7 * 2**56)


def test_a_label_is_one_teacher_s_and_never_a_mean() -> None:
    teacher = AssistedTeacher(Constant(1.0), Constant(2.0))
    labels = [teacher(given(f"sample-{i}")) for i in range(40)]
    assert {float(value) for label in labels for value in np.unique(label.inverse_depth)} == {1.0, 2.0}
    assert all(np.unique(label.inverse_depth).size == 1 for label in labels)
    assert all(label.features is None for label in labels)


def test_lineage_names_both() -> None:
    free, bound = Constant(1.0, licence="Apache-2.0"), Constant(2.0, licence="CC BY-NC 4.0", metric=True)
    teacher = AssistedTeacher(free, bound)
    assert teacher_lineage(teacher) == [
        {"kind": "teacher", "name": "constant 1.0", "licence": "Apache-2.0"},
        {"kind": "assistant", "name": "constant 2.0", "licence": "CC BY-NC 4.0"},
    ]
    assert teacher_lineage(free) == [{"kind": "teacher", "name": "constant 1.0", "licence": "Apache-2.0"}]
    assert teacher.licence == "Apache-2.0; CC BY-NC 4.0"
    assert not teacher.metric  # a relative one among them: both are aligned
    assert AssistedTeacher(bound, bound).metric


def test_fingerprint_changes_with_all_that_labels_depend_on() -> None:
    one, two = Constant(1.0), Constant(2.0)
    teachers = [
        AssistedTeacher(one, two),
        AssistedTeacher(two, one),
        AssistedTeacher(one, Constant(3.0)),
        AssistedTeacher(one, two, primary_share=0.5),
        AssistedTeacher(one, two, seed=1),
    ]
    assert len({teacher.fingerprint for teacher in teachers}) == len(teachers)
    assert AssistedTeacher(one, two).fingerprint == teachers[0].fingerprint


def config(**assistant: object) -> TeacherConfig:
    return parse_config(TeacherConfig, {"kind": "assistant", "assistant": assistant}, "a.yaml")


def test_build() -> None:
    sharp = {"kind": "simulated", "simulated": {"edge_blur_px": 0.0, "scale": [1.0, 1.0]}}
    teacher = build_teacher(config(primary={"kind": "simulated"}, assistant=sharp, seed=3), no_student)
    assert isinstance(teacher, AssistedTeacher)
    assert (teacher.primary_share, teacher.seed, teacher.assistant.config.scale) == (0.7, 3, (1.0, 1.0))


def test_build_refuses_what_cannot_be_meant(tmp_path: Path) -> None:
    simulated = {"kind": "simulated"}
    with pytest.raises(ConfigError, match=r"teacher\.assistant is missing"):
        build_teacher(TeacherConfig(kind="assistant"), no_student)
    with pytest.raises(ConfigError, match="are the same"):
        build_teacher(config(primary=simulated, assistant=simulated), no_student)
    with_features = {"kind": "depth_anything", "depth_anything": {"source": str(tmp_path), "features": True}}
    with pytest.raises(ConfigError, match=r"assistant\.assistant\.depth_anything\.features"):
        build_teacher(config(primary=simulated, assistant=with_features), no_student)
    with pytest.raises(ConfigError, match="primary_share"):
        AssistedTeacher(Constant(1.0), Constant(2.0), primary_share=1.5)
