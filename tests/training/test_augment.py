"""Changing samples without breaking the rig."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from surround_depth.geometry import Lens, ray_grid
from surround_depth.imaging import Framing, InputSpec
from surround_depth.training.augment import augment, corrupt, draw_framing, drop_camera, jitter
from surround_depth.training.config import AugmentConfig
from surround_depth.training.prepared import PreparedSample, mirror
from surround_depth.training.samples import SamplePreparer

NO_CHANGE = AugmentConfig(flip=0.0, brightness=0.0, contrast=0.0, colour=0.0, camera_dropout=0.0)


@pytest.fixture(scope="module")
def prepared(fake_sequence) -> PreparedSample:  # type: ignore[no-untyped-def]
    return SamplePreparer(InputSpec(height_px=64, width_px=96), None).prepare(fake_sequence[0])


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
    rays = ray_grid(64, 96, K, Lens(), 8)
    assert np.allclose(rays[:, ::-1] * [-1, 1, 1], ray_grid(64, 96, K_mirrored, Lens(), 8))


def test_mirroring_twice_changes_nothing(prepared: PreparedSample) -> None:
    twice = mirror(mirror(prepared))
    for name in ("images", "rays", "T_ego_cam", "relative", "sky", "lidar_index", "lidar_depth_m"):
        assert np.allclose(getattr(twice, name), getattr(prepared, name)), name


def test_no_change_is_no_change(prepared: PreparedSample) -> None:
    rng = np.random.default_rng(0)
    assert draw_framing(NO_CHANGE, rng) == Framing()
    same = augment(prepared, NO_CHANGE, rng)
    assert np.array_equal(same.images, prepared.images)
    assert same.camera_valid.all()


def test_framings_fill_their_ranges_and_nothing_else() -> None:
    config = AugmentConfig(zoom=(1.2, 1.8), shift=0.5)
    framings = [draw_framing(config, np.random.default_rng(seed)) for seed in range(400)]
    zooms = np.array([framing.zoom for framing in framings])
    left, top = np.array([framing.shift for framing in framings]).T
    for drawn, low, high in ((zooms, 1.2, 1.8), (left, 0.25, 0.75), (top, 0.5, 1.0)):
        assert low <= drawn.min() < low + 0.02
        assert high - 0.02 < drawn.max() <= high
    assert 0.4 < np.mean([framing.mirrored for framing in framings]) < 0.6


def test_zoom_and_corruption_leave_the_other_draws_alone(prepared: PreparedSample) -> None:
    """So two runs that differ in one key differ in that alone."""
    plain = AugmentConfig(camera_dropout=0.5)
    more = plain.model_copy(update={"zoom": (1.0, 2.0), "shift": 1.0, "augmix": 1.0})
    dropped = set()
    for seed in range(8):
        rng, rng_more = np.random.default_rng(seed), np.random.default_rng(seed)
        assert draw_framing(plain, rng).mirrored == draw_framing(more, rng_more).mirrored
        expected, found = augment(prepared, plain, rng), augment(prepared, more, rng_more)
        assert np.array_equal(found.camera_valid, expected.camera_valid)
        assert not np.array_equal(found.images, expected.images)
        dropped.add(tuple(expected.camera_valid.tolist()))
    assert len(dropped) > 1


@pytest.mark.parametrize("zoom", [(0.8, 1.2), (1.5, 1.2), (1.0, 9.0)])
def test_zoom_ranges_that_no_picture_covers(zoom: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="low end first"):
        AugmentConfig(zoom=zoom)


def test_jitter_by_hand() -> None:
    class Fixed:
        """Draws the upper end of every range."""

        def uniform(self, low: float, high: float, size: int | None = None) -> object:
            return high if size is None else np.full(size, high)

    config = AugmentConfig(brightness=0.5, contrast=0.0, colour=0.0)
    images = np.array([0, 100, 200], np.uint8).reshape(1, 1, 1, 3)
    assert jitter(images, config, Fixed()).ravel().tolist() == [0, 150, 255]  # type: ignore[arg-type]


def test_jitter_tints_each_channel_by_its_own_table() -> None:
    class Tinted:
        """Draws no light, and a tint of +10 %, 0 and -10 %."""

        def uniform(self, low: float, high: float, size: int | None = None) -> object:
            return 0.0 if size is None else np.array([0.1, 0.0, -0.1])

    images = np.full((2, 3, 4, 3), 100, np.uint8)
    tinted = jitter(images, AugmentConfig(), Tinted())  # type: ignore[arg-type]
    assert np.array_equal(tinted, np.broadcast_to(np.array([110, 100, 90], np.uint8), (2, 3, 4, 3)))


def test_a_dead_camera_stays_black() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    images[1] = 0
    valid = np.array([True, False, True])
    spoilt = corrupt(images, valid, AugmentConfig(augmix=1.0, augmix_severity=1.0), np.random.default_rng(1))
    assert (spoilt[1] == 0).all()
    assert not np.array_equal(spoilt[0], images[0])
    assert not np.array_equal(spoilt[2], images[2])


def test_a_dropped_camera_is_black_and_dead(prepared: PreparedSample) -> None:
    dropped = drop_camera(prepared, 1)
    assert dropped.camera_valid.tolist() == [True, False, True]
    assert (dropped.images[1] == 0).all()
    assert prepared.camera_valid.all()  # the original is untouched
