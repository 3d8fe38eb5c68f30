"""A checkpoint of ours as teacher: its own depth, sky and features, relative or in metres."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from surround_depth.errors import ConfigError, DataError
from surround_depth.imaging import InputSpec
from surround_depth.models.checkpoint import CheckpointConfig, save_student
from surround_depth.models.presets import student_preset
from surround_depth.models.student import Student
from surround_depth.teachers.build import StudentTeacherConfig, TeacherConfig
from surround_depth.teachers.ensemble import teacher_lineage
from surround_depth.teachers.label_cache import CachedTeacher, LabelCache, cache_key
from surround_depth.teachers.patches import label_patches
from surround_depth.teachers.teacher import TeacherLabel
from surround_depth.training.samples import LabelWants, SamplePreparer
from surround_depth.training.student_teacher import StudentTeacher, open_teacher

SPEC = InputSpec(height_px=64, width_px=96)


def saved(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    student = Student(student_preset("pico")).eval()
    facts = {"commit": "abc", "licence": {"name": "CC BY-NC 4.0"}}
    save_student(folder, student, CheckpointConfig(student=student.config, input=SPEC, provenance=facts))
    return folder


@pytest.mark.parametrize("metric", [False, True])
def test_it_says_what_the_student_says(metric: bool, tmp_path: Path, fake_sequence) -> None:  # type: ignore[no-untyped-def]
    folder = saved(tmp_path / "student")
    teacher = open_teacher(
        TeacherConfig(kind="student", student=StudentTeacherConfig(directory=str(folder), metric=metric))
    )
    assert isinstance(teacher, StudentTeacher)
    assert (teacher.metric, teacher.licence) == (metric, "CC BY-NC 4.0")
    preparer = SamplePreparer(SPEC, teacher, LabelWants(features=True))
    given = preparer.teacher_input(fake_sequence[0])
    label = teacher(given)
    torch.manual_seed(0)
    student = Student(student_preset("pico")).eval()
    with torch.no_grad():
        inputs = (given.images, given.rays, given.T_ego_cam, given.camera_valid.astype(np.float32))
        output = student(*(torch.from_numpy(np.asarray(one))[None] for one in inputs))
    np.testing.assert_allclose(1.0 / label.inverse_depth, output.depth_m[0], rtol=1e-5)
    assert label.features is not None
    np.testing.assert_allclose(label.features, output.features[0], rtol=2e-3, atol=1e-3)
    assert np.array_equal(label.sky, output.depth_m[0].numpy() > 72.0)
    prepared = preparer.prepare(fake_sequence[0])
    assert np.isfinite(prepared.metric_range).all() == metric
    assert prepared.features is not None


def test_a_dead_camera_is_valid_nowhere_and_has_no_features(tmp_path: Path, fake_sequence) -> None:  # type: ignore[no-untyped-def]
    teacher = StudentTeacher(StudentTeacherConfig(directory=str(saved(tmp_path / "student"))))
    given = SamplePreparer(SPEC, teacher).teacher_input(fake_sequence[0])
    valid = given.camera_valid.copy()
    valid[0] = False
    label = teacher(replace(given, camera_valid=valid))
    assert not label.valid[0].any()
    assert not label.sky[0].any()
    assert label.features is not None
    assert (label.features[0] == 0).all()
    assert label.valid[1].any()


def test_other_weights_are_another_teacher(tmp_path: Path) -> None:
    folders = [str(saved(tmp_path / f"student-{seed}", seed)) for seed in (0, 1)]
    marks = {
        StudentTeacher(StudentTeacherConfig(directory=folder, metric=metric)).fingerprint
        for folder in folders
        for metric in (False, True)
    }
    assert len(marks) == 4


def test_what_it_cannot_do_is_refused(tmp_path: Path, fake_sequence) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=r"teacher\.student\.directory is missing"):
        StudentTeacher(StudentTeacherConfig())
    with pytest.raises(DataError, match="is this a checkpoint directory"):
        StudentTeacher(StudentTeacherConfig(directory=str(tmp_path)))
    teacher = StudentTeacher(StudentTeacherConfig(directory=str(saved(tmp_path / "student"))))
    given = SamplePreparer(SPEC, teacher).teacher_input(fake_sequence[0])
    with pytest.raises(DataError, match="looks along rays, and none are given"):
        teacher(replace(given, rays=None))


def test_a_window_is_shown_enlarged_and_answered_pixel_for_pixel(tmp_path: Path, fake_sequence) -> None:  # type: ignore[no-untyped-def]
    teacher = StudentTeacher(StudentTeacherConfig(directory=str(saved(tmp_path / "student"))))
    labels = label_patches(teacher, SamplePreparer(SPEC, teacher).teacher_input(fake_sequence[0]))
    assert labels.inverse_depth.shape[1:] == (4, 38, 58)
    assert (labels.inverse_depth > 0).all()


def test_kept_labels_stand_for_the_teacher_and_its_licence(tmp_path: Path, fake_sequence) -> None:  # type: ignore[no-untyped-def]
    student = StudentTeacherConfig(directory=str(saved(tmp_path / "student")))
    config = TeacherConfig(kind="student", student=student, cache=str(tmp_path / "labels"))
    with pytest.raises(ConfigError, match=r"teacher\.cache: there is no folder"):
        open_teacher(config)
    (tmp_path / "labels").mkdir()
    kept = open_teacher(config)
    assert isinstance(kept, CachedTeacher)
    assert isinstance(kept.teacher, StudentTeacher)
    assert teacher_lineage(kept) == teacher_lineage(kept.teacher)
    given = SamplePreparer(SPEC, kept).teacher_input(fake_sequence[0])
    assert given.label_id is not None
    n, height_px, width_px = given.images.shape[:3]
    cache = LabelCache(tmp_path / "labels", cache_key(kept.fingerprint, height_px, width_px))
    nothing = np.zeros((n, height_px, width_px), bool)
    cache.write(given.label_id, TeacherLabel(np.zeros(nothing.shape, np.float32), nothing, nothing), "a name")
    assert not kept(given).valid.any()  # what was kept, not what the student would say
    own = kept.teacher(given)
    assert own.valid.any()
    cache.write(given.label_id, own, "a name")  # with the features as they come out of the network
    again = kept(given)
    assert again.features is not None
    assert own.features is not None
    np.testing.assert_array_equal(again.features, own.features)
