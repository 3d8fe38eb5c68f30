from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_engine import SPEC

from surround_depth.errors import DataError
from surround_depth.export.frames import (
    DriveSource,
    dataset_frames,
    encode_frame,
    proof_frames,
    random_frames,
    ring_rig,
    timing_frames,
)
from surround_depth.frame import EncodedImage
from surround_depth.imaging import InputSpec


def test_the_ring_looks_outward() -> None:
    """By hand: camera 0 looks along ego x (forward), camera 1 of four along ego y (left); image x is to the right."""
    rig = ring_rig(4, 90, 160)
    np.testing.assert_allclose(rig.T_ego_cam[0, :3, :3] @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rig.T_ego_cam[1, :3, :3] @ [0, 0, 1], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(rig.T_ego_cam[0, :3, :3] @ [1, 0, 0], [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(rig.T_ego_cam[0, :3, :3] @ [0, 1, 0], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(rig.T_ego_cam[1, :3, 3], [0, 0.5, 1.5], atol=1e-12)


def test_random_frames_repeat_and_differ() -> None:
    one, two, other = (random_frames(SPEC, 3, height_px=90, width_px=160, seed=seed) for seed in (5, 5, 6))
    spec = InputSpec(height_px=32, width_px=64)
    first = one.network_inputs(spec)
    for a, b, c in zip(first, two.network_inputs(spec), other.network_inputs(spec), strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        assert (a.images != c.images).mean() > 0.5
    assert [int((1 - inputs.camera_valid).sum()) for inputs in first] == [0, 1, 0]
    assert one.name == "structured random images"
    pixels = first[0].images
    assert pixels.std() > 20  # structure, not grey
    assert np.linalg.norm(first[0].rays, axis=-1) == pytest.approx(1.0, abs=1e-5)


def test_every_camera_lives_while_an_engine_is_timed() -> None:
    assert all(frame.camera_valid.all() for frame in timing_frames(SPEC, None, 3).frames)


def test_encoding_keeps_the_frame_and_its_missing_camera() -> None:
    frame = random_frames(SPEC, 2, height_px=90, width_px=160).frames[1]
    encoded = encode_frame(frame)
    assert [image is None for image in encoded.images] == [image is None for image in frame.images]
    assert all(isinstance(image, EncodedImage) for image in encoded.images if image is not None)
    assert encode_frame(encoded).images == encoded.images


def test_a_drive_gives_its_frames_and_another_rig_is_refused(real_data: Path) -> None:
    source = DriveSource("nuscenes", real_data / "nuscenes")
    drive = dataset_frames(source, 6, 2)
    assert drive.name == "nuscenes frames (nuscenes)"
    assert len(drive.frames[0].rig) == 6
    with pytest.raises(DataError, match="its rig has 6 cameras, the engine 2"):
        proof_frames(SPEC, source, 2)
