"""What a prediction on a coarser grid answers at places of the recorded image, the way each published evaluation asks.

Only the places that have truth are computed: the same values as resizing the whole map first, a hundred times fewer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.geometry import Array
from surround_depth.jit import cached_njit
from surround_depth.metrics.protocols import Resampling
from surround_depth.window import ImageWindow


def answers_at(
    depth_m: NDArray[np.float32], window: ImageWindow, uv_px: Array, resampling: Resampling
) -> NDArray[np.float32]:
    """Return the depth [P] that `depth_m` [h, w] answers at `uv_px` [P, 2]; NaN where a value it rests on is NaN.

    Beyond the outermost values of the grid the nearest one answers, as in every published resize. `uv_px` are pixels
    of the recorded image, or with resampling "none" whole pixels of the grid.

    Source: cv2.resize INTER_LINEAR, torch interpolate and grid_sample: the witnesses in tests/metrics/test_resample.py.
    """
    if depth_m.shape != (window.grid_height_px, window.grid_width_px):
        raise DataError(
            f"a grid {depth_m.shape} does not fill its window {window.grid_height_px}x{window.grid_width_px}"
        )
    if resampling == "none":
        column, row = np.asarray(uv_px).astype(np.int64).T
        return depth_m[row, column]
    return np.asarray(_bilinear(np.ascontiguousarray(depth_m), _positions(window, np.asarray(uv_px), resampling)))


def _positions(window: ImageWindow, uv_px: Array, resampling: Resampling) -> Array:
    """Return the grid coordinates [P, 2] of recorded pixels [P, 2]."""
    if resampling == "linear":
        return window.to_grid(uv_px)
    resized = np.array([window.resized_width_px, window.resized_height_px], np.float64)
    recorded = np.array([window.image_width_px, window.image_height_px], np.float64)
    # align_corners: the centres of the outermost pixels coincide; grid_sample at u / W stretches by one pixel less.
    divisor = np.maximum(recorded - 1.0, 1.0) if resampling == "linear_corners" else recorded
    return uv_px * ((resized - 1.0) / divisor) - np.array([window.left_px, window.top_px], np.float64)


@cached_njit(nogil=True)
def _bilinear(grid: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Interpolate along rows first, in float32, as cv2 does; a weight of zero does not touch its value."""
    height, width = grid.shape
    out = np.empty(len(uv), np.float32)
    for i in range(len(uv)):
        x = min(max(uv[i, 0], 0.0), width - 1.0)
        y = min(max(uv[i, 1], 0.0), height - 1.0)
        left, top = int(x), int(y)
        right_weight, bottom_weight = np.float32(x - left), np.float32(y - top)
        upper = grid[top, left]
        if right_weight > 0:
            upper = upper * (np.float32(1.0) - right_weight) + grid[top, left + 1] * right_weight
        if bottom_weight > 0:
            lower = grid[top + 1, left]
            if right_weight > 0:
                lower = lower * (np.float32(1.0) - right_weight) + grid[top + 1, left + 1] * right_weight
            upper = upper * (np.float32(1.0) - bottom_weight) + lower * bottom_weight
        out[i] = upper
    return out
