"""The simulated teacher: relative, deterministic, right side up, honest about where it knows nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from no_student import no_student

from surround_depth.errors import ConfigError, DataError
from surround_depth.teachers.build import TeacherConfig, build_teacher
from surround_depth.teachers.simulated import SimulatedTeacher, SimulatedTeacherConfig, _waves, box_blur
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel

N, H, W = 2, 24, 32


def sample() -> TeacherInput:
    depth_m = np.random.default_rng(0).uniform(3.0, 50.0, (N, H, W)).astype(np.float32)
    sky = np.zeros((N, H, W), bool)
    sky[:, :6] = True
    depth_m[sky] = np.nan
    images = np.zeros((N, H, W, 3), np.uint8)
    return TeacherInput("frame-1", ("LEFT", "RIGHT"), images, np.ones(N, bool), truth_depth_m=depth_m, truth_sky=sky)


def test_an_oracle_is_the_inverse_depth_up_to_scale_and_shift() -> None:
    oracle = SimulatedTeacher(SimulatedTeacherConfig(edge_blur_px=0.0, bias=0.0, noise=0.0))
    given = sample()
    label = oracle(given)
    assert given.truth_depth_m is not None
    for i in range(N):
        seen = label.valid[i]
        r, inverse = label.inverse_depth[i][seen], 1.0 / given.truth_depth_m[i][seen]
        assert np.corrcoef(r, inverse)[0, 1] == pytest.approx(1.0, abs=1e-5)  # large = near
    assert not np.allclose(label.inverse_depth[0].mean(), label.inverse_depth[1].mean())  # each image its own frame


def test_same_frame_and_camera_same_label_whatever_else_is_there() -> None:
    teacher = SimulatedTeacher()
    given = sample()
    assert np.array_equal(teacher(given).inverse_depth, teacher(given).inverse_depth)
    without_left = replace(given, camera_valid=np.array([False, True]))
    assert np.array_equal(teacher(given).inverse_depth[1], teacher(without_left).inverse_depth[1])
    assert not np.array_equal(teacher(given).inverse_depth, teacher(replace(given, sample_id="frame-2")).inverse_depth)
    other_seed = SimulatedTeacher(SimulatedTeacherConfig(seed=1))
    assert not np.array_equal(teacher(given).inverse_depth, other_seed(given).inverse_depth)


def test_sky_and_dead_cameras_are_valid_nowhere() -> None:
    label = SimulatedTeacher()(replace(sample(), camera_valid=np.array([True, False])))
    assert label.sky[0, :6].all()
    assert not label.valid[0, :6].any()
    assert label.valid[0, 6:].all()
    assert not label.valid[1].any()
    assert not label.sky[1].any()
    assert np.isfinite(label.inverse_depth).all()


def test_without_truth_it_says_so() -> None:
    with pytest.raises(DataError, match=r"frame-1.*dense truth"):
        SimulatedTeacher()(replace(sample(), truth_depth_m=None))


def test_box_blur_by_hand() -> None:
    spike = np.zeros((3, 5))
    spike[1, 2] = 9.0
    assert np.allclose(box_blur(spike, 1)[:, 1:4], 1.0)
    assert np.allclose(box_blur(spike, 1)[:, [0, 4]], 0.0)


def test_waves_are_the_sum_of_plane_waves() -> None:
    rng, found = np.random.default_rng(1), _waves((5, 7), np.random.default_rng(1))
    y, x = np.mgrid[0:1:5j, 0:1:7j]
    expected = np.zeros((5, 7))
    for _ in range(4):
        fy, fx = rng.uniform(-2.0, 2.0, size=2)
        expected += np.sin(2 * np.pi * (fy * y + fx * x + rng.uniform())) / 4
    assert np.allclose(found, expected, atol=1e-12)


def test_relative_depth_refuses_contradictions() -> None:
    r, yes = np.zeros((1, 2, 2), np.float32), np.ones((1, 2, 2), bool)
    with pytest.raises(DataError, match="both valid and sky"):
        TeacherLabel(r, yes, yes)
    with pytest.raises(DataError, match="share a shape"):
        TeacherLabel(r, yes[0], ~yes)
    with pytest.raises(DataError, match="not finite"):
        TeacherLabel(r * np.nan, yes, ~yes)


def test_build() -> None:
    assert isinstance(build_teacher(TeacherConfig(), no_student), SimulatedTeacher)
    assert build_teacher(TeacherConfig(kind="none"), no_student) is None


def test_the_default_label_is_what_the_shipped_students_learnt_from() -> None:
    label = SimulatedTeacher()(sample())
    recorded = [
        [1.1731845, 1.3769045],
        [1.3424208, 1.0846425],
    ]  # of commit 3f7c7c4
    assert np.allclose(label.inverse_depth[:, [10, 20], [5, 30]], recorded, atol=1e-6)


def test_scale_and_shift_are_drawn_within_their_ranges() -> None:
    exact = {"edge_blur_px": 0.0, "bias": 0.0, "noise": 0.0}
    config = SimulatedTeacherConfig(**exact, scale=(3.0, 4.0), shift=(5.0, 5.0))
    found = []
    for i in range(8):
        given = replace(sample(), sample_id=f"frame-{i}")
        assert given.truth_depth_m is not None
        label = SimulatedTeacher(config)(given)
        seen = label.valid[0]
        scale = (label.inverse_depth[0][seen] - 5.0) * given.truth_depth_m[0][seen]
        assert np.ptp(scale) < 1e-3
        found.append(float(scale.mean()))
    assert min(found) >= 3.0
    assert max(found) <= 4.0
    assert np.ptp(found) > 0.3  # each image its own


@pytest.mark.parametrize("wrong, complaint", [({"scale": (2.0, 1.0)}, "no range"), ({"scale": (0.0, 1.0)}, "above 0")])
def test_ranges_that_cannot_be_meant_are_refused(wrong: dict, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        SimulatedTeacherConfig(**wrong)
