"""A label's id changes with what its label depends on, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from flat_road import FakeSequence, moving

from surround_depth.data.sample import Sample
from surround_depth.frame import EncodedImage, SurroundFrame
from surround_depth.imaging import InputSpec
from surround_depth.training.label_id import label_id

SPEC = InputSpec(height_px=64, width_px=96)


def with_frame(sample: Sample, **changes: object) -> Sample:
    return replace(sample, frame=replace(sample.frame, **changes))  # type: ignore[arg-type]


def other_pixel(sample: Sample) -> Sample:
    first, *rest = sample.frame.images
    assert isinstance(first, np.ndarray)
    changed = first.copy()
    changed[5, 6, 1] ^= 1
    return with_frame(sample, images=(changed, *rest))


def dead_camera(sample: Sample) -> Sample:
    return with_frame(sample, camera_valid=np.array([True, False, True]))


def longer_lens(sample: Sample) -> Sample:
    first, *rest = sample.frame.rig.cameras
    cameras = (replace(first, K=first.K * [[1.01, 1, 1], [1, 1.01, 1], [1, 1, 1]]), *rest)
    return with_frame(sample, rig=sample.frame.rig.with_cameras(cameras))


def other_mount(sample: Sample) -> Sample:
    first, *rest = sample.frame.rig.cameras
    T_ego_cam = first.T_ego_cam.copy()
    T_ego_cam[2, 3] += 0.1
    return with_frame(sample, rig=sample.frame.rig.with_cameras((replace(first, T_ego_cam=T_ego_cam), *rest)))


def other_truth(sample: Sample) -> Sample:
    assert sample.truth is not None
    first, *rest = sample.truth.depth_m
    return replace(sample, truth=replace(sample.truth, depth_m=(first * np.float32(1.01), *rest)))


def swapped(images: tuple[bytes, bytes]) -> Callable[[Sample], Sample]:
    def change(sample: Sample) -> Sample:
        encoded = tuple(EncodedImage(data, "memory") for data in images)
        return with_frame(sample, images=(*encoded, sample.frame.images[2]))

    return change


@pytest.fixture(scope="module")
def sample() -> Sample:
    return FakeSequence()[0]


@pytest.mark.parametrize("change", [other_pixel, dead_camera, longer_lens, other_mount, other_truth])
def test_it_changes_with(change: Callable[[Sample], Sample], sample: Sample) -> None:
    assert label_id(change(sample), SPEC) != label_id(sample, SPEC)


def test_it_changes_with_name_and_size(sample: Sample) -> None:
    own = label_id(sample, SPEC)
    assert label_id(with_frame(sample, frame_id="another"), SPEC) != own
    assert label_id(sample, InputSpec(height_px=64, width_px=64)) != own


def test_a_border_between_two_pictures_counts(sample: Sample) -> None:
    first, second = swapped((b"ab", b"c"))(sample), swapped((b"a", b"bc"))(sample)
    assert label_id(first, SPEC) != label_id(second, SPEC)


def test_it_stays_with_what_no_teacher_sees(sample: Sample) -> None:
    elsewhere = moving(sample)  # other poses, another sweep
    assert not np.array_equal(elsewhere.frame.T_world_ego, sample.frame.T_world_ego)  # type: ignore[arg-type]
    assert label_id(elsewhere, SPEC) == label_id(sample, SPEC)
    assert label_id(FakeSequence()[0], SPEC) == label_id(sample, SPEC)


def test_masks_count_where_they_mask_truth(sample: Sample) -> None:
    bare = sample.frame.rig.with_cameras(tuple(replace(c, own_body=None) for c in sample.frame.rig.cameras))
    unmasked = with_frame(sample, rig=bare)
    assert isinstance(unmasked.frame, SurroundFrame)
    assert label_id(unmasked, SPEC) != label_id(sample, SPEC)
    assert label_id(replace(unmasked, truth=None), SPEC) == label_id(replace(sample, truth=None), SPEC)
