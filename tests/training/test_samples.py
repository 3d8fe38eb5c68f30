"""Preparing samples: LiDAR and labels at network resolution, in any framing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flat_road import moving

from surround_depth.data.sample import Sample
from surround_depth.imaging import Framing, InputSpec
from surround_depth.teachers.simulated import SimulatedTeacher, SimulatedTeacherConfig
from surround_depth.training.prepared import PreparedSample, mirror
from surround_depth.training.samples import SamplePreparer, SampleStore, unit_range

SPEC = InputSpec(height_px=64, width_px=96)


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
    stored, ranges = unit_range(1.0 / depth_m, np.ones((1, 1, 4), bool))
    assert ranges[0] == pytest.approx([1 / 80.0, 1.0 - 1 / 80.0])
    back_m = 1.0 / (ranges[0, 0] + ranges[0, 1] * stored[0, 0].astype(np.float64))
    assert back_m == pytest.approx(depth_m[0, 0], rel=2e-3)
    assert (unit_range(20.0 / depth_m + 1.0, np.ones((1, 1, 4), bool))[0] == stored).all()  # no scale of its own
    assert (unit_range(depth_m, np.zeros((1, 1, 4), bool))[0] == 0).all()


def test_without_a_teacher_nothing_is_valid(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    sample = SamplePreparer(SPEC, None).prepare(fake_sequence[0])
    assert not sample.teacher_valid.any()


def test_store_caches_and_spreads(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    store = SampleStore([fake_sequence, fake_sequence], SamplePreparer(SPEC, None), cache=True)
    assert len(store) == 6
    assert store[4] is store[4]
    assert store[4].sample_id == "fake-0/1"
    assert store.evenly(3) in ([0, 2, 5], [0, 3, 5])
    assert store.evenly(100) == [0, 1, 2, 3, 4, 5]


def test_a_sequence_listed_twice_is_prepared_once(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    store = SampleStore([fake_sequence, replace(fake_sequence), fake_sequence], SamplePreparer(SPEC, None), cache=True)
    assert len(store) == 9
    assert [store[i] is store[6 + i] for i in range(3)] == [True, True, True]
    assert store[0] is not store[1]
    assert store[0] is not store[3]  # an equal sequence is another one: only the same object is known to stay the same


NEARER = Framing(1.6, (0.8, 0.4))


def test_mirroring_a_kept_sample_is_preparing_it_under_the_mirrored_plan(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    """On a vehicle that moves and turns while the cameras fire, so that a pose left unmirrored would show."""
    sample = moving(fake_sequence[0])
    preparer = SamplePreparer(SPEC, None)
    flipped, planned = mirror(preparer.prepare(sample)), preparer.prepare(sample, Framing(mirrored=True))
    for name in ("images", "T_ego_cam", "own_body", "sky", "camera_valid"):
        np.testing.assert_array_equal(getattr(flipped, name), getattr(planned, name), err_msg=name)
    np.testing.assert_allclose(planned.rays, flipped.rays, atol=1e-6)
    np.testing.assert_array_equal(planned.lidar_index, flipped.lidar_index)
    np.testing.assert_allclose(planned.lidar_depth_m, flipped.lidar_depth_m, rtol=1e-5)


def test_labels_of_a_mirrored_plan_are_the_flipped_labels(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    exact = SimulatedTeacher(SimulatedTeacherConfig(edge_blur_px=0.0, bias=0.0, noise=0.0))
    preparer = SamplePreparer(SPEC, exact)
    flipped = mirror(preparer.prepare(fake_sequence[0], NEARER))
    planned = preparer.prepare(fake_sequence[0], replace(NEARER, mirrored=True))
    np.testing.assert_array_equal(planned.teacher_valid, flipped.teacher_valid)
    np.testing.assert_array_equal(planned.sky, flipped.sky)
    np.testing.assert_allclose(planned.relative, flipped.relative, atol=1e-3)


@pytest.mark.parametrize("framing", [NEARER, Framing(2.5, (0.1, 1.0), mirrored=True)])
def test_lidar_labels_and_rays_of_another_framing_agree_on_the_road(fake_sequence, framing: Framing) -> None:  # type: ignore[no-untyped-def]
    """Depth along a pixel's ray must end on the road, z = 0 in the ego frame: with rays and poses the network gets."""
    prepared = SamplePreparer(SPEC, SimulatedTeacher()).prepare(fake_sequence[0], framing)
    camera, row, column = np.unravel_index(prepared.lidar_index, prepared.own_body.shape)
    centred = (row % 8 == 4) & (column % 8 == 4)  # next to the centres of the 8-pixel cells that rays are given for
    camera, row, column = camera[centred], row[centred], column[centred]
    assert len(camera) > 5
    rays = prepared.rays[camera, row // 8, column // 8]
    points_m = rays * (prepared.lidar_depth_m[centred] / rays[:, 2])[:, None]
    poses = prepared.T_ego_cam[camera]
    height_m = np.einsum("pj,pj->p", poses[:, 2, :3], points_m) + poses[:, 2, 3]
    assert np.abs(height_m / points_m[:, 2]).max() < 0.03  # half a pixel of 70 px focal length is 0.7 %, zoomed less
    valid = prepared.teacher_valid[camera, row, column]
    assert np.corrcoef(prepared.relative[camera, row, column][valid], 1 / points_m[valid, 2])[0, 1] > 0.9


def test_only_the_engines_crop_is_kept(fake_sequence) -> None:  # type: ignore[no-untyped-def]
    store = SampleStore([fake_sequence], SamplePreparer(SPEC, None), cache=True)
    assert store.framed(1, Framing()) is store[1]
    np.testing.assert_array_equal(store.framed(1, Framing(mirrored=True)).images, store[1].images[:, :, ::-1])
    assert store.framed(1, NEARER) is not store.framed(1, NEARER)


@pytest.mark.parametrize(("cache", "expected"), [(True, [0, 1]), (False, [0, 1, 1, 0])])
def test_another_framing_reads_a_kept_recording_once(fake_sequence, cache: bool, expected: list[int]) -> None:  # type: ignore[no-untyped-def]
    read = []

    class Counting:
        name = "counting"

        def __len__(self) -> int:
            return len(fake_sequence)

        def __getitem__(self, index: int) -> Sample:
            read.append(index)
            return fake_sequence[index]

    drive = Counting()
    store = SampleStore([drive, drive], SamplePreparer(SPEC, None), cache=cache)
    draws = [store.framed(index, Framing(zoom)) for index, zoom in ((0, 1.2), (1, 1.2), (4, 1.5), (3, 1.2))]
    assert read == expected
    assert not np.array_equal(draws[1].images, draws[2].images)
    np.testing.assert_array_equal(draws[0].images, draws[3].images)
