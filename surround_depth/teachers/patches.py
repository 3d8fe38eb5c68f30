"""A teacher's opinion of parts of a picture: four overlapping windows, each shown to it alone (distillation.md, D8).

A relative teacher spends its range on what it sees, so a window shows it more of what is far, in a frame of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from surround_depth.teachers.teacher import Teacher, TeacherInput

_WINDOW_SHARE = 0.6
RAY_STRIDE = 8
"""Pixels of a cell of `TeacherInput.rays`."""


@dataclass(frozen=True)
class PatchLabels:
    """P windows of N cameras. Every patch of a relative teacher has its own unknown scale and shift."""

    inverse_depth: NDArray[np.float32]  # r [N, P, h, w], large = near
    valid: NDArray[np.bool_]  # [N, P, h, w]
    sky: NDArray[np.bool_]  # [N, P, h, w]
    windows: NDArray[np.int64]  # [P, 4]: top, left, height, width in pixels of the whole picture


def patch_windows(height_px: int, width_px: int) -> NDArray[np.int64]:
    """Return the windows [4, 4] of a picture: top, left, height, width of its four corners, row by row.

    Each has 0.6 of both sides, rounded to whole pixels, so that neighbours share a fifth of the picture. All four are
    of one size and together cover every pixel. Source: ours [O], D8 (P2 gives neither number nor overlap).
    """
    height, width = round(_WINDOW_SHARE * height_px), round(_WINDOW_SHARE * width_px)
    corners = [(top, left) for top in (0, height_px - height) for left in (0, width_px - width)]
    return np.array([(top, left, height, width) for top, left in corners], dtype=np.int64)


def label_patches(teacher: Teacher, sample: TeacherInput) -> PatchLabels:
    """Return the teacher's labels of each of the windows of `patch_windows`, each shown to it as a picture of its own.

    A window has its own sample id, so a teacher that draws by it draws anew. The focal length in pixels is that of the
    whole picture: a crop does not change it.

    Raises:
        what the teacher raises.
    """
    windows = patch_windows(*sample.images.shape[1:3])
    labels = [teacher(one) for one in window_inputs(sample)]
    return PatchLabels(
        inverse_depth=np.stack([label.inverse_depth for label in labels], axis=1),
        valid=np.stack([label.valid for label in labels], axis=1),
        sky=np.stack([label.sky for label in labels], axis=1),
        windows=windows,
    )


def window_inputs(sample: TeacherInput) -> list[TeacherInput]:
    """Return what the teacher is given of each of the windows of `patch_windows`."""
    windows = patch_windows(*sample.images.shape[1:3]).tolist()
    return [_window_of(sample, index, window) for index, window in enumerate(windows)]


def window_label_id(label_id: str, index: int) -> str:
    """Return what the label of a window is kept under, from what that of the whole pictures is."""
    return hashlib.sha256(f"{label_id}/window-{index}".encode()).hexdigest()


def _window_of(sample: TeacherInput, index: int, window: list[int]) -> TeacherInput:
    top, left, height, width = window
    rows, columns = slice(top, top + height), slice(left, left + width)
    truth_m, sky, second = sample.truth_depth_m, sample.truth_sky, sample.second_images
    return replace(
        sample,
        sample_id=f"{sample.sample_id}/window-{index}",
        images=np.ascontiguousarray(sample.images[:, rows, columns]),
        truth_depth_m=None if truth_m is None else np.ascontiguousarray(truth_m[:, rows, columns]),
        truth_sky=None if sky is None else np.ascontiguousarray(sky[:, rows, columns]),
        rays=None if sample.rays is None else window_rays(sample.rays, window),
        second_images=None if second is None else np.ascontiguousarray(second[:, rows, columns]),
        label_id=None if sample.label_id is None else window_label_id(sample.label_id, index),
    )


def window_rays(rays: NDArray[np.float32], window: list[int]) -> NDArray[np.float32]:
    """Return the rays [N, h, w, 3] of a window that is enlarged to the whole picture's size: then its cells are whole.

    Between cell centres they are mixed and made unit again, beyond the outermost ones continued: at most a few
    hundredths of a degree off at the sizes that students train at.

    Args:
        rays: of the whole pictures' cells of 8 pixels, unit [N, h, w, 3].
        window: top, left, height, width in pixels.
    """
    top, left, height, width = window
    mixed = _mixed(rays, 1, top, height)
    mixed = _mixed(mixed, 2, left, width)
    return (mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)).astype(np.float32)


def _mixed(rays: NDArray[np.floating], axis: int, first_px: int, length_px: int) -> NDArray[np.float64]:
    """Return as many rays along an axis as there are, at the cell centres of a part of it that is enlarged to all."""
    n = rays.shape[axis]
    enlarged_px = RAY_STRIDE * np.arange(n) + 0.5 * RAY_STRIDE  # pixel borders, where scaling is a product
    place = (first_px + enlarged_px * length_px / (RAY_STRIDE * n)) / RAY_STRIDE - 0.5
    below = np.clip(np.floor(place).astype(int), 0, max(n - 2, 0))
    above = np.minimum(below + 1, n - 1)
    share = np.expand_dims(place - below, tuple(i for i in range(rays.ndim) if i != axis))
    return rays.take(below, axis) * (1.0 - share) + rays.take(above, axis) * share
