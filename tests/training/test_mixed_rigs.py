"""Rigs of different sizes in one batch: what a sample says does not depend on who else is in it."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from surround_depth.losses.build import training_loss
from surround_depth.losses.config import LossConfig
from surround_depth.models.config import BinConfig
from surround_depth.models.presets import student_preset
from surround_depth.models.student import Student
from surround_depth.training.augment import drop_camera
from surround_depth.training.dataset import Batch, collate
from surround_depth.training.prepared import PreparedSample, mirror, pad_cameras
from surround_depth.training.targets import make_targets

H, W = 64, 96
torch.set_num_threads(1)


def ring(n_cameras: int, seed: int) -> PreparedSample:
    """Return a sample of `n_cameras` level cameras around a car, each looking outwards, that all see something."""
    rng = np.random.default_rng(seed)
    v, u = np.meshgrid(
        (np.arange(H // 8) * 8 + 3.5 - 31.5) / 70, (np.arange(W // 8) * 8 + 3.5 - 47.5) / 70, indexing="ij"
    )
    rays = np.stack([u, v, np.ones_like(u)], -1) / np.sqrt(u**2 + v**2 + 1)[..., None]
    T_ego_cam = np.tile(np.eye(4, dtype=np.float32), (n_cameras, 1, 1))
    for pose, yaw in zip(T_ego_cam, 2 * np.pi * np.arange(n_cameras) / n_cameras, strict=True):
        c, s = np.cos(yaw), np.sin(yaw)
        pose[:3, :3] = np.array([[s, 0, c], [-c, 0, s], [0, -1, 0]])
        pose[:3, 3] = (c, s, 1.5)
    shape = (n_cameras, H, W)
    index = np.sort(rng.choice(n_cameras * H * W, 400 * n_cameras, replace=False)).astype(np.int32)
    sky = np.zeros(shape, bool)
    sky[:, :16] = True
    return PreparedSample(
        sample_id=f"ring{n_cameras}",
        images=rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        rays=np.repeat(rays[None].astype(np.float32), n_cameras, axis=0),
        T_ego_cam=T_ego_cam,
        camera_valid=np.ones(n_cameras, bool),
        neighbours=np.array([sorted(((i - 1) % n_cameras, (i + 1) % n_cameras)) for i in range(n_cameras)]),
        own_body=np.repeat((np.arange(H) >= 60)[:, None] & np.ones((1, W), bool), n_cameras, axis=0).reshape(shape),
        lidar_index=index,
        lidar_depth_m=rng.uniform(1, 70, len(index)).astype(np.float32),
        relative=rng.uniform(0, 1, shape).astype(np.float16),
        teacher_valid=~sky,
        sky=sky,
        metric_range=np.full((n_cameras, 2), np.nan, np.float32),
    )


FIVE, SIX = mirror(ring(5, seed=1)), ring(6, seed=2)  # a flipped sample: its arrays are views turned around


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    return Student(student_preset("nano", BinConfig(centers="sample"))).eval()


@torch.no_grad()
def test_each_sample_is_answered_as_if_it_were_alone(student: Student) -> None:
    together = run(student, collate([FIVE, SIX]))
    for i, sample in enumerate((FIVE, SIX)):
        alone = run(student, collate([sample]))
        n_cameras = len(sample.images)
        for name in ("depth_m", "confidence", "logits", "centers_m"):
            expected = getattr(alone, name)[0]
            found = getattr(together, name)[i, :n_cameras]
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, msg=f"{sample.sample_id}: {name}")
    assert torch.isfinite(together.depth_m).all()
    assert (together.confidence[0, 5] == 0).all()


@torch.no_grad()
def test_a_dead_camera_beside_them_changes_no_loss(student: Student) -> None:
    alone, padded = collate([FIVE]), collate([pad_cameras(FIVE, 8)])
    config = LossConfig(chamfer=0.1, x1=0.5, dense=0.3)
    reports = []
    for batch in (alone, padded):
        targets = make_targets(batch, student.config.bins)
        reports.append(training_loss(run(student, batch), targets, config, bins=BinConfig(), progress=1.0))
    for name, term in reports[0].terms.items():
        assert int(term.count) > 0, name
        assert int(reports[1].terms[name].count) == int(term.count), name
        assert reports[1].terms[name].value.item() == pytest.approx(term.value.item(), rel=1e-5), name


@torch.no_grad()
def test_dead_cameras_beside_them_do_not_move_what_batch_norm_sees(student: Student) -> None:
    three = ring(3, seed=3)
    alone, padded = (run(deepcopy(student).train(), collate([pad_cameras(three, n)])) for n in (3, 6))
    torch.testing.assert_close(padded.depth_m[:, :3], alone.depth_m, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(padded.confidence[:, :3], alone.confidence, rtol=1e-3, atol=1e-3)


def test_dead_cameras_repeat_living_ones_only() -> None:
    padded = pad_cameras(drop_camera(ring(3, seed=3), 1), 6)
    assert padded.camera_valid.tolist() == [True, False, True, False, False, False]
    for name in ("images", "rays", "T_ego_cam"):
        array = getattr(padded, name)
        np.testing.assert_array_equal(array[3:], array[[0, 2, 0]])


def test_lidar_and_masks_stay_with_their_own_camera() -> None:
    for order in ([FIVE, SIX], [SIX, FIVE]):
        batch = collate(order)
        assert batch.images.shape == (2, 6, H, W, 3)
        for i, sample in enumerate(order):
            n_cameras = len(sample.images)
            np.testing.assert_array_equal(batch.lidar_m[i, :n_cameras].numpy(), sample.lidar_m)
            np.testing.assert_array_equal(batch.own_body[i, :n_cameras].numpy(), sample.own_body)
            for labels in (
                batch.teacher_valid,
                batch.sky,
                batch.own_body,
                batch.camera_valid,
                batch.lidar_m.isfinite(),
            ):
                assert not labels[i, n_cameras:].any()
    np.testing.assert_allclose(batch.rays.norm(dim=-1).numpy(), 1.0, atol=1e-6)  # never a ray of length 0


def run(student: Student, batch: Batch):  # type: ignore[no-untyped-def]
    return student(batch.images, batch.rays, batch.T_ego_cam, batch.camera_valid)
