"""Stereo pairs that are known exactly: a random texture, whose halves lie at two distances."""

from __future__ import annotations

import cv2
import numpy as np

from surround_depth.data.stereo import StereoPair

K = np.array([[80.0, 0.0, 31.5], [0.0, 80.0, 15.5], [0.0, 0.0, 1.0]])
BASELINE_M = 0.3


def shifted_pair(
    seed: int, upper_px: int = 3, lower_px: int = 9, height_px: int = 32, width_px: int = 64
) -> StereoPair:
    """Return a pair whose upper half has one whole disparity and whose lower half another; the right one is the left
    one moved to the left by them."""
    rng = np.random.default_rng(seed)
    texture = rng.uniform(0, 255, (height_px, width_px + 32, 3)).astype(np.float32)
    texture = cv2.GaussianBlur(texture, (0, 0), 0.8)
    texture = (128 + 3.0 * (texture - texture.mean())).clip(0, 255).astype(np.uint8)
    disparity_px = np.full((height_px, width_px), lower_px, np.float32)
    disparity_px[: height_px // 2] = upper_px
    left = np.ascontiguousarray(texture[:, :width_px])
    right = np.empty_like(left)
    for rows, shift in ((slice(height_px // 2), upper_px), (slice(height_px // 2, None), lower_px)):
        right[rows] = texture[rows, shift : shift + width_px]
    return StereoPair(f"texture-{seed}", left, right, K, BASELINE_M, disparity_px)
