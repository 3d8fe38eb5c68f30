"""The LiDAR kernels in plain numpy, step by step: the oracle of their tests, and what they are timed against.

Written the way research code writes them; nothing on the main path calls this.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_tracks import MovingBoxes
from surround_depth.geometry import Array, transform
from surround_depth.metrics.protocols import Rasteriser
from surround_depth.window import ImageWindow


def rasterise(
    points_m: NDArray[np.float32], T_cam_points: Array, K: Array, height_px: int, width_px: int, rule: Rasteriser
) -> NDArray[np.float32]:
    """Return the z-depth map [H, W] of points [P, 3] in a pinhole camera, NaN = none; see `lidar_raster.rasterise`."""
    uv_px, depth_m = _project(points_m, T_cam_points, K, rule.arithmetic == "float32_product")
    uv_px = uv_px.astype(np.float64)
    match rule.rounding:
        case "half_even":
            pixel = np.rint(uv_px)
        case "half_up":
            pixel = np.floor(uv_px + 0.5)
        case "truncate":
            pixel = np.trunc(uv_px)
    tested = uv_px if rule.bounds == "unrounded" else pixel
    inside = ((tested >= 0) & (tested <= (width_px - 1, height_px - 1))).all(axis=1) & (depth_m > rule.min_depth_m)
    column, row = pixel[inside].astype(np.int64).T
    values_m = depth_m[inside].astype(np.float32)
    map_m = np.full((height_px, width_px), np.inf, np.float32)
    if rule.winner == "last":
        map_m[row, column] = values_m  # numpy assigns in order: the last one stays
    else:
        np.minimum.at(map_m, (row, column), values_m)
    map_m[np.isinf(map_m)] = np.nan
    return map_m


def resize_depth_preserve(depth_m: NDArray[np.float32], window: ImageWindow) -> NDArray[np.float32]:
    """Return a depth map on the grid of `window` by the published loop; see `lidar_raster.resize_depth_preserve`."""
    grid_m = np.full((window.grid_height_px, window.grid_width_px), np.nan, np.float32)
    for r, c in zip(*np.nonzero(np.isfinite(depth_m)), strict=True):
        row = int(r * (window.resized_height_px / window.image_height_px)) - window.top_px
        column = int(c * (window.resized_width_px / window.image_width_px)) - window.left_px
        if 0 <= row < window.grid_height_px and 0 <= column < window.grid_width_px:
            grid_m[row, column] = depth_m[r, c]
    return grid_m


def in_any_box(boxes: MovingBoxes, points_m: NDArray[np.float32], T_world_points: Array) -> NDArray[np.bool_]:
    """Return which points [P, 3] lie in a box; see `MovingBoxes.holds`."""
    inside = np.zeros(len(points_m), np.bool_)
    for T_box_world, half_m in zip(boxes.T_box_world, boxes.half_m, strict=True):
        points_box_m = transform(T_box_world @ T_world_points, points_m.astype(np.float64))
        inside |= (np.abs(points_box_m) <= half_m).all(axis=1)
    return inside


def _project(
    points_m: NDArray[np.float32], T: Array, K: Array, in_float32: bool
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return pixels [P, 2] and depth [P] of all points; products are added from left to right."""
    dtype = np.float32 if in_float32 else np.float64
    x, y, z = points_m.astype(dtype).T
    T, K = T.astype(dtype), K.astype(dtype)
    x, y, z = (T[i, 0] * x + T[i, 1] * y + T[i, 2] * z + T[i, 3] for i in range(3))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = (K[0, 0] * x + K[0, 1] * y + K[0, 2] * z) / z
        v = (K[1, 1] * y + K[1, 2] * z) / z
    return np.stack([u, v], axis=1), z
