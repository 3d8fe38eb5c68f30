"""The resize kernel that is part of every engine's input: each output pixel is the mean of the area it covers.

The values are those of OpenCV's INTER_AREA, by its own formula (tested: equal but for ties in the last bit). OpenCV is
fast where an output pixel covers whole source pixels; elsewhere it takes longer than decoding the JPEG. Here only the
rows and columns that survive the crop are computed, rows first, which vector units like.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.jit import cached_njit
from surround_depth.window import ImageWindow

Taps = tuple[NDArray[np.int64], NDArray[np.float32]]


def resize_into(image: NDArray[np.uint8], window: ImageWindow) -> NDArray[np.uint8]:
    """Return the grid [h, w, 3] of `window` out of RGB [H, W, 3] of a picture at any scale; corners coincide."""
    height_px, width_px = image.shape[:2]
    down, right = height_px / window.resized_height_px, width_px / window.resized_width_px
    shrinks, whole = min(down, right) >= 1.0, down.is_integer() and right.is_integer()
    if shrinks and not whole:
        rows, columns = resize_taps(height_px, width_px, window)
        return np.asarray(_area_means(np.ascontiguousarray(image), *rows, *columns))
    if down != 1.0 or right != 1.0:
        # AREA averages every source pixel; bilinear would alias fine texture when shrinking.
        kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        size = window.resized_width_px, window.resized_height_px
        image = np.asarray(cv2.resize(image, size, interpolation=kernel), dtype=np.uint8)
    bottom_px, right_px = window.top_px + window.grid_height_px, window.left_px + window.grid_width_px
    return image[window.top_px : bottom_px, window.left_px : right_px]


def resize_taps(height_px: int, width_px: int, window: ImageWindow) -> tuple[Taps, Taps]:
    """Return what `resize_into` weighs of a picture [height_px, width_px, 3], for those who resize elsewhere.

    Of the rows and of the columns: the first source pixel int64 [n] of each of the window's n pixels, and the weights
    float32 [n, k] of the k source pixels from there. The weighted means over the rows, then over the columns, are
    `resize_into` to the bit where it takes its own averages, and within one grey level where it takes OpenCV's.
    """
    down, right = height_px / window.resized_height_px, width_px / window.resized_width_px
    taps = _area_taps if min(down, right) >= 1.0 else _linear_taps
    return (
        taps(height_px, window.resized_height_px, window.top_px, window.grid_height_px),
        taps(width_px, window.resized_width_px, window.left_px, window.grid_width_px),
    )


@lru_cache(maxsize=256)
def _area_taps(n_source: int, n_resized: int, first: int, count: int) -> Taps:
    """Return, for `count` pixels of a resized side, the first source pixel [count] and the weights [count, k]."""
    scale = n_source / n_resized
    low = np.arange(first, first + count) * scale
    high = np.minimum(low + scale, n_source)
    n_taps = min(n_source, int(np.ceil(scale)) + 1)
    start = np.minimum(np.floor(low).astype(np.int64), n_source - n_taps)
    source = start[:, None] + np.arange(n_taps)
    covered = np.minimum(source + 1, high[:, None]) - np.maximum(source, low[:, None])
    covered[covered < 1e-3] = 0.0  # as OpenCV: a thousandth of a pixel is rounding
    return start, (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=256)
def _linear_taps(n_source: int, n_resized: int, first: int, count: int) -> Taps:
    """The same where a side grows: the two source pixels around each centre, the border's own beyond it."""
    centre = (np.arange(first, first + count) + 0.5) * (n_source / n_resized) - 0.5
    centre = centre.clip(0, n_source - 1)
    n_taps = min(n_source, 2)
    start = np.minimum(np.floor(centre).astype(np.int64), n_source - n_taps)
    distance = np.abs(centre[:, None] - start[:, None] - np.arange(n_taps))
    return start, (1.0 - distance).astype(np.float32)


@cached_njit(nogil=True, error_model="numpy")
def _area_means(
    image: np.ndarray,
    row_start: np.ndarray,
    row_weight: np.ndarray,
    column_start: np.ndarray,
    column_weight: np.ndarray,
) -> np.ndarray:
    height, width = len(row_start), len(column_start)
    out = np.empty((height, width, 3), np.uint8)
    flat = image.reshape(image.shape[0], image.shape[1] * 3)
    first, last = 3 * column_start[0], 3 * (column_start[-1] + column_weight.shape[1])
    mean_row = np.empty(last - first, np.float32)
    for y in range(height):
        mean_row[:] = 0.0
        for k in range(row_weight.shape[1]):
            weight = row_weight[y, k]
            if weight > 0.0:
                source = flat[row_start[y] + k, first:last]
                for j in range(len(mean_row)):
                    mean_row[j] += weight * np.float32(source[j])
        for x in range(width):
            at = 3 * column_start[x] - first
            red = green = blue = np.float32(0.5)  # truncation then rounds
            for k in range(column_weight.shape[1]):
                weight = column_weight[x, k]
                red += weight * mean_row[at + 3 * k]
                green += weight * mean_row[at + 3 * k + 1]
                blue += weight * mean_row[at + 3 * k + 2]
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = np.uint8(red), np.uint8(green), np.uint8(blue)
    return out
