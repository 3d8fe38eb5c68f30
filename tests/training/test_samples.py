"""Preparing samples, and changing them without breaking the rig."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.geometry import ray_grid
from surround_depth.imaging import InputSpec
from surround_depth.teachers.simulated import SimulatedTeacher
from surround_depth.training.augment import augment, drop_camera, jitter, mirror
from surround_depth.training.config import AugmentConfig
from surround_depth.training.samples import PreparedSample, SamplePreparer, SampleStore, unit_range

SPEC = InputSpec(height_px=64, width_px=96)
NO_CHANGE = AugmentConfig(flip=0.0, brightness=0.0, contrast=0.0, colour=0.0, camera_dropout=0.0)


@pytest.fixture(scope="module")
def truth_m(fake_sequence) -> np.ndarray:  # type: ignore[no-untyped-def]
    return SamplePreparer(SPEC, None).truths_m(fake_sequence[0])["dense"]


@pytest.fixture(scope="module")
def prepared(fake_sequence) -> PreparedSample:  # type: ignore[no-untyped-def]
    return SamplePreparer(SPEC, SimulatedTeacher()).prepare(fake_sequence[0])


def test_lidar_survives_its_sparse_storage_and_agrees_with_the_truth(
    prepared: PreparedSample, truth_m: np.ndarray
) -> None:
    lidar_m = prepared.lidar_m
    seen = np.isfinite(lidar_m) & np.isfinite(truth_m)
    assert seen.sum() > 500
    ratio = lidar_m[seen] / truth_m[seen]
    assert np.abs(np.median(ratio) - 1) < 0.05  # the nearest of several points wins a pixel, so a little short
    assert np.array_equal(np.flatnonzero(np.isfinite(lidar_m)), prepared.lidar_index)


def test_teacher_labels_are_stored_far_to_near(prepared: PreparedSample, truth_m: np.ndarray) -> None:
    assert prepared.relative.dtype == np.float16
    valid = prepared.teacher_valid
    assert prepared.relative[valid].min() == 0.0
    assert prepared.relative[valid].max() == 1.0
    assert np.corrcoef(prepared.relative[valid], 1 / truth_m[valid])[0, 1] > 0.95
    assert not (valid & prepared.sky).any()


def test_unit_range_keeps_far_depths_apart_in_float16() -> None:
    depth_m = np.array([[[1.0, 70.0, 71.0, 80.0]]], np.float32)
    stored = unit_range(20.0 / depth_m + 1.0, np.ones((1, 1, 4), bool)).astype(np.float64)[0, 0]
    back_m = 1.0 / (stored * (1.0 - 1 / 80.0) + 1 / 80.0)
    assert back_m == pytest.approx(depth_m[0, 0], rel=2e-3)
    assert (unit_range(depth_m, np.zeros((1, 1, 4), bool)) == 0).all()


def test_without_a_teacher_nothing_is_valid(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    sample = SamplePreparer(SPEC, None).prepare(fake_sequence[0])
    assert not sample.teacher_valid.any()


def test_a_mirrored_rig_sees_the_mirrored_world(prepared: PreparedSample) -> None:
    """A pixel's ray in the ego frame, and its depth, must be the mirror image of the original pixel's."""
    flipped = mirror(prepared)
    assert np.allclose(np.linalg.det(flipped.T_ego_cam[:, :3, :3]), 1.0, atol=1e-5)
    towards = np.einsum("nij,nhwj->nhwi", prepared.T_ego_cam[:, :3, :3], prepared.rays)
    towards_flipped = np.einsum("nij,nhwj->nhwi", flipped.T_ego_cam[:, :3, :3], flipped.rays)
    assert np.allclose(towards_flipped, towards[:, :, ::-1] * [1, -1, 1], atol=1e-6)
    assert np.allclose(flipped.T_ego_cam[:, :3, 3], prepared.T_ego_cam[:, :3, 3] * [1, -1, 1])
    assert np.array_equal(flipped.lidar_m, prepared.lidar_m[..., ::-1], equal_nan=True)
    assert np.array_equal(flipped.images, prepared.images[:, :, ::-1])


def test_mirrored_rays_belong_to_a_camera_with_a_mirrored_principal_point() -> None:
    K, K_mirrored = np.eye(3), np.eye(3)
    K[:2, :] = [[70.0, 0, 40.0], [0, 70, 30]]
    K_mirrored[:2, :] = [[70.0, 0, 95 - 40.0], [0, 70, 30]]
    from surround_depth.geometry import Lens

    rays = ray_grid(64, 96, K, Lens(), 8)
    assert np.allclose(rays[:, ::-1] * [-1, 1, 1], ray_grid(64, 96, K_mirrored, Lens(), 8))


def test_mirroring_twice_changes_nothing(prepared: PreparedSample) -> None:
    twice = mirror(mirror(prepared))
    for name in ("images", "rays", "T_ego_cam", "relative", "sky", "lidar_index", "lidar_depth_m"):
        assert np.allclose(getattr(twice, name), getattr(prepared, name)), name


def test_no_change_is_no_change(prepared: PreparedSample) -> None:
    same = augment(prepared, NO_CHANGE, np.random.default_rng(0))
    assert np.array_equal(same.images, prepared.images)
    assert same.camera_valid.all()


def test_jitter_by_hand() -> None:
    class Fixed:
        """Draws the upper end of every range."""

        def uniform(self, low: float, high: float, size: int | None = None) -> object:
            return high if size is None else np.full(size, high)

    config = AugmentConfig(brightness=0.5, contrast=0.0, colour=0.0)
    images = np.array([0, 100, 200], np.uint8).reshape(1, 1, 1, 3)
    assert jitter(images, config, Fixed()).ravel().tolist() == [0, 150, 255]  # type: ignore[arg-type]


def test_a_dropped_camera_is_black_and_dead(prepared: PreparedSample) -> None:
    dropped = drop_camera(prepared, 1)
    assert dropped.camera_valid.tolist() == [True, False, True]
    assert (dropped.images[1] == 0).all()
    assert prepared.camera_valid.all()  # the original is untouched


def test_store_caches_and_spreads(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    store = SampleStore([fake_sequence, fake_sequence], SamplePreparer(SPEC, None), cache=True)
    assert len(store) == 6
    assert store[4] is store[4]
    assert store[4].sample_id == "fake-0/1"
    assert store.evenly(3) in ([0, 2, 5], [0, 3, 5])
    assert store.evenly(100) == [0, 1, 2, 3, 4, 5]
