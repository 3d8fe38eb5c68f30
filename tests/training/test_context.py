"""Neighbouring pictures: which they are, and that no change of a sample parts them from its geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flat_road import FakeSequence, moving, yawed
from scipy.interpolate import NearestNDInterpolator

from surround_depth.data.build import open_dataset
from surround_depth.data.sample import Sample
from surround_depth.errors import ConfigError
from surround_depth.geometry import Lens
from surround_depth.imaging import ENGINE_FRAMING, Framing, InputSpec
from surround_depth.losses.photometric import photometric, smoothness
from surround_depth.training.augment import drop_camera
from surround_depth.training.dataset import collate
from surround_depth.training.prepared import PreparedSample, mirror, pad_cameras
from surround_depth.training.samples import SamplePreparer, SampleStore

SPEC = InputSpec(height_px=64, width_px=96)
SECOND_NS = 1_000_000_000
NEARER = Framing(1.6, (0.8, 0.4))
torch.set_num_threads(1)


@dataclass(frozen=True, eq=False)
class Drive:
    """The flat road, driven along: 0.4 m and a little turn from moment to moment, half a second apart."""

    name: str = "drive"

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        sample = moving(FakeSequence()[index])
        stamps_ns = sample.frame.stamps_ns + index * SECOND_NS // 2
        T_world_ego = yawed(0.02 * index, [0.4 * index, 0.01 * index, 0.0]) @ sample.frame.T_world_ego
        return replace(sample, frame=replace(sample.frame, stamps_ns=stamps_ns, T_world_ego=T_world_ego))


def store(drive: Any = None, gap_s: float | None = 0.6, cache: bool = True) -> SampleStore:
    return SampleStore([drive or Drive()], SamplePreparer(SPEC, None), cache=cache, context_gap_s=gap_s)


def losses(sample: PreparedSample, depth_m: np.ndarray) -> list[float]:
    """Return both terms, and how many pixels the first counted, for a depth [N, H, W]."""
    context = collate([sample]).context
    assert context is not None
    depth = torch.from_numpy(np.ascontiguousarray(depth_m))[None]
    term = photometric(depth, context)
    return [term.value.item(), smoothness(depth, context).value.item(), float(term.count)]


def bumpy() -> np.ndarray:
    """Depths [N, H, W] that no two places share."""
    smooth = np.random.default_rng(3).uniform(4, 12, (3, 4, 6)).astype(np.float32)
    return np.kron(smooth, np.ones((1, 16, 16), np.float32))


def test_the_moments_before_and_after_are_the_context() -> None:
    samples = store()
    middle = samples[1].context
    assert middle is not None
    for found, index in zip(middle.images, (1, 0, 2), strict=True):
        np.testing.assert_array_equal(found, samples[index].images)
    assert middle.valid.all()
    first = samples[0].context
    assert first is not None
    assert first.valid.tolist() == [[True] * 3, [False] * 3, [True] * 3]
    # the ring of the three: front sees both of its neighbours, and they do not see each other
    assert samples[1].neighbours.tolist() == [[1, -1], [0, 2], [1, -1]]
    assert pad_cameras(samples[1], 5).neighbours.tolist() == [[1, -1], [0, 2], [1, -1], [-1, -1], [-1, -1]]
    np.testing.assert_allclose(middle.K[0], [[70, 0, 47.5], [0, 70, 31.5], [0, 0, 1]])


def test_poses_are_those_of_the_cameras_in_the_world() -> None:
    drive = Drive()
    context = store(drive)[1].context
    assert context is not None
    frames = [drive[index].frame for index in (1, 0, 2)]
    T_world_cam = np.stack([frame.T_world_ego @ frame.rig.T_ego_cam for frame in frames])
    T_world_ref = frames[0].T_world_ego[0]
    np.testing.assert_allclose(T_world_ref @ context.T_ref_cam, T_world_cam, atol=1e-5)


def test_moments_too_far_away_are_no_neighbours() -> None:
    context = store(gap_s=0.4)[1].context
    assert context is not None
    assert not context.valid[1:].any()
    assert store(gap_s=None)[1].context is None
    assert collate([store(gap_s=None)[1]]).context is None


@pytest.mark.parametrize("framing", [ENGINE_FRAMING, NEARER])
def test_mirroring_is_preparing_under_the_mirrored_plan(framing: Framing) -> None:
    samples = store(cache=False)
    flipped = mirror(samples.framed(1, framing))
    planned = samples.framed(1, replace(framing, mirrored=True))
    if framing == ENGINE_FRAMING:
        drive, preparer = Drive(), samples.preparer
        planned = preparer.prepare(drive[1], Framing(mirrored=True), (drive[0].frame, drive[2].frame))
    for a, b in zip(flipped.context.images, planned.context.images, strict=True):  # type: ignore[union-attr]
        np.testing.assert_array_equal(a, b)
    assert (flipped.neighbours == planned.neighbours).all()
    for name in ("valid", "T_ref_cam", "K"):
        np.testing.assert_allclose(getattr(flipped.context, name), getattr(planned.context, name), atol=1e-5)


@pytest.mark.parametrize("framing", [ENGINE_FRAMING, NEARER])
def test_a_mirrored_sample_has_the_same_loss_at_the_mirrored_depth(framing: Framing) -> None:
    sample = store().framed(1, framing)
    plain = losses(sample, bumpy())
    assert plain[2] > 3000
    assert losses(mirror(sample), bumpy()[..., ::-1]) == pytest.approx(plain, rel=1e-4)
    assert losses(mirror(sample), bumpy())[0] != pytest.approx(plain[0], rel=1e-3)


def test_padded_cameras_change_no_loss() -> None:
    sample = store()[1]
    padded_m = np.concatenate((bumpy(), np.full((2, 64, 96), 3.0, np.float32)))
    assert losses(pad_cameras(sample, 5), padded_m) == pytest.approx(losses(sample, bumpy()), rel=1e-6)


def test_a_dropped_camera_is_dead_at_all_moments() -> None:
    sample = store()[1]
    dropped = drop_camera(sample, 1).context
    assert dropped is not None
    assert dropped.valid.tolist() == [[True, False, True]] * 3
    assert sample.context is not None
    assert sample.context.valid.all()  # the original is untouched


def test_what_the_term_cannot_use_is_refused_by_name() -> None:
    @dataclass(frozen=True, eq=False)
    class Changed(Drive):
        lens: Lens | None = None
        poses: bool = True

        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            rig = sample.frame.rig
            rig = rig.with_cameras((*rig.cameras[:2], replace(rig.cameras[2], lens=self.lens or Lens())))
            T_world_ego = sample.frame.T_world_ego if self.poses else None
            return replace(sample, frame=replace(sample.frame, rig=rig, T_world_ego=T_world_ego))

    bent = Changed(lens=Lens("radtan", (0.1, 0.0, 0.0, 0.0)))
    with pytest.raises(ConfigError, match=r"RIGHT of fake-0/1 has a radtan lens"):
        store(bent)[1]
    with pytest.raises(ConfigError, match=r"fake-0/1 has no ego poses"):
        store(Changed(poses=False))[1]
    assert store(bent, gap_s=None)[1].context is None


def test_a_moment_of_another_calibration_is_no_neighbour() -> None:
    class Recalibrated(Drive):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            if index != 2:
                return sample
            rig = sample.frame.rig
            cameras = tuple(replace(camera, K=camera.K * [[1.01], [1], [1]]) for camera in rig.cameras)
            return replace(sample, frame=replace(sample.frame, rig=rig.with_cameras(cameras)))

    context = store(Recalibrated())[1].context
    assert context is not None
    assert context.valid.all(axis=1).tolist() == [True, True, False]


@pytest.mark.parametrize("scene", ["scene_01", "scene_02"])
def test_real_pictures_agree_best_at_the_depth_that_lidar_measured(real_data: Path, scene: str) -> None:
    """DDAD's own K, poses and pictures. Depth between the points is the nearest one's: crude, and right in scale."""
    sequence = open_dataset("ddad", real_data / "ddad").sequence(scene)
    preparer = SamplePreparer(InputSpec(height_px=96, width_px=192), None)
    sample = SampleStore([sequence], preparer, cache=False, context_gap_s=0.6)[1]
    rows, columns = np.mgrid[0:96, 0:192]
    depth_m = np.full(sample.own_body.shape, 80.0, np.float32)
    for filled, sparse in zip(depth_m, sample.lidar_m, strict=True):
        v, u = np.nonzero(np.isfinite(sparse))
        filled[:] = NearestNDInterpolator(np.stack([v, u], -1), sparse[v, u])(rows, columns)
    scales = (0.7, 0.85, 1.0, 1.15, 1.4)
    errors = [losses(sample, depth_m * np.float32(scale))[0] for scale in scales]
    assert np.argmin(errors) == 2
    assert (np.diff(errors)[2:] > 0).all()
