"""What the LiDAR kernels must equal, in plain numpy: one step after the other, duplicates settled by assignment."""

from __future__ import annotations

import numpy as np

from surround_depth.metrics.protocols import Rasteriser
from surround_depth.window import ImageWindow

ROUND = {"half_even": np.rint, "half_up": lambda x: np.floor(x + 0.5), "truncate": np.trunc}


def project(points_m, T, K, dtype):
    """Return pixels [P, 2] and depth [P] in one arithmetic, products added from left to right."""
    x, y, z = points_m.astype(dtype).T
    T, K = T.astype(dtype), K.astype(dtype)
    x, y, z = (T[i, 0] * x + T[i, 1] * y + T[i, 2] * z + T[i, 3] for i in range(3))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = (K[0, 0] * x + K[0, 1] * y + K[0, 2] * z) / z
        v = (K[1, 1] * y + K[1, 2] * z) / z
    return np.stack([u, v], axis=1), z


def rasterise(points_m, T, K, height_px, width_px, rule: Rasteriser):
    """Return the depth map [H, W] of points [P, 3] float32."""
    uv_px, depth_m = project(points_m, T, K, np.float32 if rule.arithmetic == "float32_product" else np.float64)
    uv_px = uv_px.astype(np.float64)
    pixel = ROUND[rule.rounding](uv_px)
    tested = uv_px if rule.bounds == "unrounded" else pixel
    inside = ((tested >= 0) & (tested <= (width_px - 1, height_px - 1))).all(axis=1) & (depth_m > rule.min_depth_m)
    column, row = pixel[inside].astype(int).T
    depth_m = depth_m[inside].astype(np.float32)
    map_m = np.full((height_px, width_px), np.inf, np.float32)
    if rule.winner == "last":
        map_m[row, column] = depth_m  # numpy assigns in order: the last one stays
    else:
        np.minimum.at(map_m, (row, column), depth_m)
    map_m[np.isinf(map_m)] = np.nan
    return map_m


def resize_preserve(depth_m, window: ImageWindow):
    """Return a depth map [h, w] by the published loop."""
    grid_m = np.full((window.grid_height_px, window.grid_width_px), np.nan, np.float32)
    for r in range(depth_m.shape[0]):
        for c in range(depth_m.shape[1]):
            if np.isfinite(depth_m[r, c]):
                row = int(r * (window.resized_height_px / window.image_height_px)) - window.top_px
                column = int(c * (window.resized_width_px / window.image_width_px)) - window.left_px
                if 0 <= row < window.grid_height_px and 0 <= column < window.grid_width_px:
                    grid_m[row, column] = depth_m[r, c]
    return grid_m
