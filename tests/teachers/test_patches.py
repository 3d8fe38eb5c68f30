"""Windows of a picture, each labelled alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from surround_depth.teachers.patches import label_patches, patch_windows, window_rays
from surround_depth.teachers.simulated import SimulatedTeacher, SimulatedTeacherConfig
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel

N, H, W = 2, 20, 30
ORACLE = SimulatedTeacherConfig(edge_blur_px=0.0, bias=0.0, noise=0.0)


def sample() -> TeacherInput:
    rng = np.random.default_rng(0)
    depth_m = rng.uniform(3.0, 50.0, (N, H, W)).astype(np.float32)
    sky = np.zeros((N, H, W), bool)
    sky[:, :6] = True
    depth_m[sky] = np.nan
    images = rng.integers(0, 255, (N, H, W, 3), np.uint8)
    focal_px = np.array([20.0, 25.0], np.float32)
    living = np.array([True, True])
    return TeacherInput("frame-1", ("LEFT", "RIGHT"), images, living, focal_px, truth_depth_m=depth_m, truth_sky=sky)


def test_windows_by_hand() -> None:
    # 0.6 x 192 = 115.2, 0.6 x 352 = 211.2
    expected = [[0, 0, 115, 211], [0, 141, 115, 211], [77, 0, 115, 211], [77, 141, 115, 211]]
    assert patch_windows(192, 352).tolist() == expected
    assert patch_windows(192, 352).dtype == np.int64


def test_each_window_is_an_oracle_of_its_own_up_to_its_own_scale_and_shift() -> None:
    given = sample()
    assert given.truth_depth_m is not None
    labels = label_patches(SimulatedTeacher(ORACLE), given)
    assert labels.inverse_depth.shape == labels.valid.shape == labels.sky.shape == (N, 4, 12, 18)
    assert labels.inverse_depth.dtype == np.float32
    frames = set()
    for camera in range(N):
        for patch, (top, left, height, width) in enumerate(labels.windows):
            truth_m = given.truth_depth_m[camera, top : top + height, left : left + width]
            valid = labels.valid[camera, patch]
            assert np.array_equal(valid, np.isfinite(truth_m))
            assert np.array_equal(labels.sky[camera, patch], ~valid)
            scale, shift = np.polyfit(1.0 / truth_m[valid], labels.inverse_depth[camera, patch][valid], 1)
            assert labels.inverse_depth[camera, patch][valid] == pytest.approx(scale / truth_m[valid] + shift, abs=1e-4)
            assert scale > 0
            frames.add((round(scale, 2), round(shift, 2)))
    assert len(frames) == 4 * N


def test_the_teacher_is_shown_crops_with_the_focal_length_of_the_whole() -> None:
    given, seen = replace(sample(), truth_depth_m=None, truth_sky=None), []

    class Recorder:
        name, licence, fingerprint, metric = "recorder", "none", "0", False

        def __call__(self, sample: TeacherInput) -> TeacherLabel:
            seen.append(sample)
            no = np.zeros(sample.images.shape[:3], bool)
            return TeacherLabel(sample.images[..., 0].astype(np.float32), no, no)

    labels = label_patches(Recorder(), given)
    assert len({crop.sample_id for crop in seen} | {"frame-1"}) == 5
    for crop, (top, left, height, width) in zip(seen, labels.windows, strict=True):
        assert np.array_equal(crop.images, given.images[:, top : top + height, left : left + width])
        assert np.array_equal(crop.focal_px, given.focal_px)
        assert crop.camera_names == given.camera_names
        assert crop.truth_depth_m is None
        assert crop.truth_sky is None


def test_a_dead_camera_is_valid_in_no_window() -> None:
    labels = label_patches(SimulatedTeacher(ORACLE), replace(sample(), camera_valid=np.array([True, False])))
    assert labels.valid[0].any()
    assert not labels.valid[1].any()
    assert not labels.sky[1].any()


def test_rays_of_an_enlarged_window_are_those_of_its_pixels() -> None:
    """A pinhole camera of 160 px: the window's cell centres lie where its pixels do, by the law of pixel centres."""

    def pinhole(u_px: np.ndarray, v_px: np.ndarray) -> np.ndarray:
        u, v = np.meshgrid((u_px - 95.5) / 160, (v_px - 47.5) / 160)
        rays = np.stack((u, v, np.ones_like(u)), axis=-1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    whole = pinhole(8.0 * np.arange(24) + 3.5, 8.0 * np.arange(12) + 3.5)[None].astype(np.float32)
    top, left, height, width = 38, 77, 58, 115
    u_px = left + (8.0 * np.arange(24) + 4.0) * width / 192 - 0.5
    v_px = top + (8.0 * np.arange(12) + 4.0) * height / 96 - 0.5
    found = window_rays(whole, [top, left, height, width])
    assert np.rad2deg(np.abs(found[0] - pinhole(u_px, v_px)).max()) < 0.03
    assert np.allclose(window_rays(whole, [0, 0, 96, 192]), whole, atol=1e-6)
