"""From labels to targets: a metric teacher keeps its metres, a relative one gets them from LiDAR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from surround_depth.errors import ConfigError
from surround_depth.imaging import InputSpec
from surround_depth.models.config import BinConfig
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel
from surround_depth.training.dataset import collate
from surround_depth.training.prepared import mirror, pad_cameras
from surround_depth.training.samples import LabelWants, SamplePreparer
from surround_depth.training.targets import make_targets

SPEC = InputSpec(height_px=64, width_px=96)
BINS = BinConfig(min_depth_m=0.5, max_depth_m=80.0)


@dataclass
class PlaneTeacher:
    """Says that every picture is a ramp from 40 m on the left to 4 m on the right, whatever the LiDAR says."""

    metric: bool
    n_channels: int = 0
    name: str = "plane"
    licence: str = "none"
    fingerprint: str = "plane"

    def depth_m(self, n: int) -> NDArray[np.float32]:
        ramp = np.geomspace(40.0, 4.0, SPEC.width_px, dtype=np.float32)
        return np.broadcast_to(ramp, (n, SPEC.height_px, SPEC.width_px))

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        n = len(sample.images)
        yes = np.ones((n, SPEC.height_px, SPEC.width_px), bool)
        features = np.arange(n * self.n_channels * 8 * 12, dtype=np.float16).reshape(n, self.n_channels, 8, 12)
        return TeacherLabel(1.0 / self.depth_m(n), yes, ~yes, features if self.n_channels else None)


def test_a_metric_teacher_needs_no_lidar(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    sample = SamplePreparer(SPEC, PlaneTeacher(metric=True)).prepare(fake_sequence[0])
    targets = make_targets(collate([sample, mirror(sample)]), BINS)
    expected_m = torch.from_numpy(PlaneTeacher(True).depth_m(len(sample.images)).copy())
    assert torch.allclose(targets.teacher_m[0], expected_m, rtol=1e-3)
    assert torch.allclose(targets.teacher_m[1], expected_m.flip(-1), rtol=1e-3)


def test_a_relative_teacher_takes_its_metres_from_lidar(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    sample = SamplePreparer(SPEC, PlaneTeacher(metric=False)).prepare(fake_sequence[0])
    assert np.isnan(sample.metric_range).all()
    targets = make_targets(collate([sample]), BINS)
    usable = targets.teacher_mask.flatten(2).any(-1)
    far_m = targets.teacher_m[..., 0, 0][usable]
    assert not torch.allclose(far_m, torch.tensor(40.0), rtol=0.02)


def test_a_dead_or_padded_camera_has_no_metres(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    sample = SamplePreparer(SPEC, PlaneTeacher(metric=True, n_channels=2), LabelWants(features=True)).prepare(
        fake_sequence[0]
    )
    n = len(sample.images)
    padded = pad_cameras(sample, n + 1)
    assert padded.features is not None
    assert (padded.features[n] == 0).all()
    targets = make_targets(collate([padded]), BINS)
    assert not targets.teacher_mask[0, n].any()
    assert torch.isfinite(targets.teacher_m).all()


def test_features_are_kept_where_losses_ask_for_them_and_turn_with_the_picture(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    teacher = PlaneTeacher(metric=True, n_channels=3)
    assert SamplePreparer(SPEC, teacher).prepare(fake_sequence[0]).features is None
    sample = SamplePreparer(SPEC, teacher, LabelWants(features=True)).prepare(fake_sequence[0])
    batch = collate([sample, mirror(sample)])
    assert batch.features is not None
    assert batch.features.shape == (2, len(sample.images), 3, 8, 12)
    assert torch.equal(batch.features[0], batch.features[1].flip(-1))
    targets = make_targets(batch, BINS)
    assert targets.features is not None


@pytest.mark.parametrize("teacher", [None, PlaneTeacher(metric=True)])
def test_features_that_no_teacher_brings_are_refused(teacher: PlaneTeacher | None, fake_sequence) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=r"teacher (none|plane) brings no features"):
        SamplePreparer(SPEC, teacher, LabelWants(features=True)).prepare(fake_sequence[0])


def test_local_alignment_draws_the_teacher_to_the_lidar(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    batch = collate([SamplePreparer(SPEC, PlaneTeacher(metric=True)).prepare(fake_sequence[0])])
    whole, local = make_targets(batch, BINS), make_targets(batch, BINS, "local")
    on_lidar = whole.lidar_mask & whole.teacher_mask
    errors = [((t.teacher_m / t.lidar_m)[on_lidar].log().abs()).median() for t in (whole, local)]
    assert errors[1] < 0.5 * errors[0]
    assert torch.equal(whole.teacher_mask, local.teacher_mask)
