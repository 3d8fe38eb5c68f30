"""The stereo teacher: its metres, trust, sky and mirrored pairs, from a network whose disparity is a picture's grey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from no_student import no_student
from torch import Tensor, nn

from surround_depth.errors import ConfigError, DataError
from surround_depth.imaging import InputSpec
from surround_depth.teachers.build import TeacherConfig, build_teacher
from surround_depth.teachers.ensemble import teacher_lineage
from surround_depth.teachers.label_codec import decode_label, encode_label
from surround_depth.teachers.patches import label_patches
from surround_depth.teachers.stereo import StereoTeacher, StereoTeacherConfig
from surround_depth.teachers.stereo_checkpoint import StereoCheckpointConfig, save_stereo
from surround_depth.teachers.stereo_net import StereoNet, StereoNetConfig, StereoOutput
from surround_depth.teachers.teacher import AS_LINEAGE, TeacherInput, TeacherLabel

TINY = StereoNetConfig(channels=8, groups=4, volume_channels=4, max_disparity_px=16)
H, W, FOCAL_PX, BASELINE_M = 16, 40, 100.0, 0.3


class GreyIsDisparity(nn.Module):
    """The disparity of a picture is its grey level, its feature that of every eighth pixel."""

    feature_channels = 1

    def forward(self, left: Tensor, right: Tensor) -> StereoOutput:
        grey = left[:, 0] * 255.0
        return StereoOutput(grey, grey, grey[:, None, ::8, ::8])


def saved(folder: Path, seed: int = 0, **facts: object) -> StereoTeacherConfig:
    torch.manual_seed(seed)
    provenance = {"commit": "abc", "licence": {"name": "CC BY-NC 4.0"}, **facts}
    kept = StereoCheckpointConfig(net=TINY, input=InputSpec(height_px=32, width_px=64), provenance=provenance)
    save_stereo(folder, StereoNet(TINY), kept, "")
    return StereoTeacherConfig(directory=str(folder))


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StereoTeacher:
    monkeypatch.setattr("surround_depth.teachers.stereo.load_stereo", lambda _: GreyIsDisparity())
    return StereoTeacher(saved(tmp_path / "teacher"))


def grey(levels: np.ndarray | float) -> np.ndarray:
    return np.repeat(np.broadcast_to(levels, (H, W)).astype(np.uint8)[..., None], 3, axis=-1)


def given(left: np.ndarray, right: np.ndarray, baseline_m: float = BASELINE_M) -> TeacherInput:
    """Return three cameras with the same pictures: one with a partner, one without, and a dead one with a partner."""
    return TeacherInput(
        "frame-1",
        ("A", "B", "C"),
        np.stack([left] * 3),
        np.array([True, True, False]),
        focal_px=np.full(3, FOCAL_PX, np.float32),
        second_images=np.stack([right] * 3),
        baseline_m=np.array([baseline_m, np.nan, baseline_m], np.float32),
    )


def test_disparity_becomes_metres_where_there_is_a_partner(teacher: StereoTeacher) -> None:
    label = teacher(given(grey(10), grey(10)))
    assert teacher.metric
    np.testing.assert_allclose(label.inverse_depth[0], 10 / (100 * 0.3), rtol=1e-6)
    assert label.valid[0].all()
    assert not label.valid[1:].any()
    assert not label.sky.any()
    assert label.trust is not None
    assert (label.trust[0, :, 10:] == 1).all()
    assert (label.trust[0, :, :10] == 0).all()  # to the left of what the partner sees
    assert (label.trust[1:] == 0).all()
    assert label.features is not None
    assert label.features.shape == (3, 1, 2, 5)
    assert (label.features[0] == 10).all()
    assert (label.features[1:] == 0).all()


def test_two_views_that_disagree_are_not_trusted(teacher: StereoTeacher) -> None:
    trust = teacher(given(grey(10), grey(9))).trust
    assert trust is not None
    np.testing.assert_allclose(trust[0, :, 10:], 0.9**10, rtol=1e-3)  # exp(-ln(10/9) / 0.1)


def test_what_lies_beyond_is_sky(teacher: StereoTeacher, tmp_path: Path) -> None:
    levels = np.where(np.arange(H)[:, None] < 4, 0, 1)  # 1 px is 30 m
    label = teacher(given(grey(levels), grey(levels)))
    assert label.sky[0, :4].all()
    assert label.valid[0, 4:].all()
    assert not (label.sky[0] & label.valid[0]).any()
    assert not label.sky[1:].any()
    near = StereoTeacher(saved(tmp_path / "near").model_copy(update={"far_m": 25.0}))
    assert near(given(grey(1), grey(1))).sky[0].all()
    assert near.fingerprint != teacher.fingerprint


def test_a_mirrored_pair_is_the_pair_flipped(tmp_path: Path) -> None:
    teacher = StereoTeacher(saved(tmp_path / "teacher"))
    left, right = np.random.default_rng(3).integers(0, 256, (2, H, W, 3), dtype=np.uint8)
    label = teacher(given(left, right))
    mirrored = teacher(given(left[:, ::-1].copy(), right[:, ::-1].copy(), -BASELINE_M))
    for name in ("inverse_depth", "valid", "sky", "trust", "features"):
        np.testing.assert_array_equal(getattr(mirrored, name), getattr(label, name)[..., ::-1], err_msg=name)
    assert label.inverse_depth[0].std() > 0


def test_windows_take_their_part_of_both_pictures(teacher: StereoTeacher) -> None:
    levels = np.arange(W)[None]
    labels = label_patches(teacher, given(grey(levels), grey(levels)))
    for window, (_, left, _, width) in enumerate(labels.windows.tolist()):
        expected = np.arange(left, left + width) / (FOCAL_PX * BASELINE_M)
        np.testing.assert_allclose(labels.inverse_depth[0, window, 0], expected, rtol=1e-6)


def test_trust_is_kept_with_the_label() -> None:
    rng = np.random.default_rng(0)
    valid = rng.random((2, 5, 7)) < 0.5
    trust = rng.random((2, 5, 7)).astype(np.float16)
    features = rng.random((2, 3, 2, 2)).astype(np.float16)
    for kept in (features, None):
        label = TeacherLabel(rng.random((2, 5, 7)).astype(np.float32), valid, ~valid, kept, trust)
        back = decode_label(encode_label(label, {}))[0]
        assert back.trust is not None
        assert back.trust.tobytes() == trust.tobytes()
        assert (back.features is None) == (kept is None)
    assert decode_label(encode_label(replace(label, trust=None), {}))[0].trust is None


def test_trust_that_is_none_is_refused() -> None:
    nothing = np.zeros((1, 2, 2), bool)
    for trust, message in ((np.zeros((1, 2, 3)), r"trust must be \(1, 2, 2\)"), (np.full((1, 2, 2), 1.5), "within 0")):
        with pytest.raises(DataError, match=message):
            TeacherLabel(nothing.astype(np.float32), nothing, nothing, trust=trust.astype(np.float16))


def test_it_is_built_by_its_kind_with_the_licence_of_its_data(tmp_path: Path) -> None:
    data = {"kind": "data", "name": "KITTI", "licence": "CC BY-NC-SA 3.0"}
    config = saved(tmp_path / "run" / "teacher", lineage=[data])
    teacher = build_teacher(TeacherConfig(kind="stereo", stereo=config), no_student)
    assert isinstance(teacher, StereoTeacher)
    itself = {"kind": "teacher", "name": "stereo run/teacher (abc)", "licence": AS_LINEAGE}
    assert teacher_lineage(teacher) == [itself, data | {"kind": "teacher's data"}]
    assert teacher.licence == "CC BY-NC 4.0"
    assert StereoTeacher(saved(tmp_path / "other", licence=None)).licence == "not stated in its provenance"
    assert StereoTeacher(saved(tmp_path / "another", seed=1)).fingerprint != teacher.fingerprint


def test_what_it_cannot_do_is_refused(teacher: StereoTeacher, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.stereo\.directory is missing"):
        StereoTeacher(StereoTeacherConfig())
    with pytest.raises(DataError, match="checkpoint of tools/train_stereo"):
        StereoTeacher(StereoTeacherConfig(directory=str(tmp_path)))
    with pytest.raises(DataError, match="frame-1: a stereo teacher needs second views"):
        teacher(replace(given(grey(1), grey(1)), second_images=None))
