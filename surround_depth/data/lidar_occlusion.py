"""Taking out the LiDAR points that a camera cannot see.

The LiDAR sits higher than the cameras and looks over a parked car at the wall behind it; projected into the image,
that wall lands on the car. On close traffic one point in ten is wrong so, by up to ten times the depth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_raster import SparseDepth
from surround_depth.jit import cached_njit
from surround_depth.rig import Camera, Rig

_ROWS_RAD = 0.0125
"""Half the gap between two rings of a 32-beam LiDAR (1.33 degrees) and a little: an occluder has a point this near."""
_COLUMNS_RAD = 0.015
_OCCLUDED_RATIO = 1.5
"""Open road changes depth by less than this within the window, down to 2 degrees below the horizon."""


def without_occluded(lidar_m: NDArray[np.float32], rig: Rig) -> NDArray[np.float32]:
    """Return LiDAR depth [N, H, W] without points that lie far behind another point close by in the image.

    Args:
        lidar_m: z-depth, NaN = none; not changed.
        rig: the cameras of these images; the window is an angle, so it does not depend on the resolution.

    Source: ours. Hand-worked in tests/data/test_lidar_occlusion.py.
    """
    kept_m = lidar_m.copy()
    for depth_m, camera in zip(kept_m, rig.cameras, strict=True):
        row, column = np.nonzero(np.isfinite(depth_m))
        hidden = occluded(row, column, depth_m[row, column], camera)
        depth_m[row[hidden], column[hidden]] = np.nan
    return kept_m


def visible(depth: SparseDepth, camera: Camera) -> SparseDepth:
    """Return sparse LiDAR depth on a camera's pixels without what the camera cannot see; see `without_occluded`."""
    return depth.where(~occluded(depth.row, depth.column, depth.depth_m, camera))


def occluded(
    row: NDArray[np.int64], column: NDArray[np.int64], depth_m: NDArray[np.float32], camera: Camera
) -> NDArray[np.bool_]:
    """Return which pixels [n], given row by row, lie far behind another one close by."""
    reach = tuple(max(1, round(angle * camera.focal_px)) for angle in (_ROWS_RAD, _COLUMNS_RAD))
    row_start = np.searchsorted(row, np.arange(camera.height_px + 1))
    return np.asarray(_behind_a_neighbour(row, column, depth_m, row_start, reach, _OCCLUDED_RATIO))


@cached_njit(nogil=True, error_model="numpy")
def _behind_a_neighbour(
    row: np.ndarray,
    column: np.ndarray,
    depth_m: np.ndarray,
    row_start: np.ndarray,
    reach: tuple[int, int],
    ratio: float,
) -> np.ndarray:
    """Look through the rows around each pixel; `row_start` [H + 1] is where each row begins in the list."""
    height = len(row_start) - 1
    behind = np.zeros(len(row), np.bool_)
    for i in range(len(row)):
        limit_m = depth_m[i] / ratio
        for r in range(max(0, row[i] - reach[0]), min(height, row[i] + reach[0] + 1)):
            start, end = row_start[r], row_start[r + 1]
            start += np.searchsorted(column[start:end], column[i] - reach[1])
            for j in range(start, end):
                if column[j] > column[i] + reach[1]:
                    break
                if depth_m[j] < limit_m:
                    behind[i] = True
            if behind[i]:
                break
    return behind
