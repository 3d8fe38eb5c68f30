"""Taking out the LiDAR points that a camera cannot see.

The LiDAR sits higher than the cameras and looks over a parked car at the wall behind it; projected into the image,
that wall lands on the car. On close traffic one point in ten is wrong so, by up to ten times the depth.

A point is taken out when another one close by in the image lies well before it and no surface can hold both: the line
through the two would pass the camera nearer than any road or wall does. A fixed ratio of depths, which this replaces,
cuts the far road or spares the near car.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_raster import SparseDepth
from surround_depth.geometry import unit_rays
from surround_depth.jit import cached_njit
from surround_depth.rig import Camera

_ROWS_RAD = 0.016
"""Two thirds of the gap between two rings of a 32-beam LiDAR (1.33 degrees): an occluder has a point this near."""
_COLUMNS_RAD = 0.006
"""Along a ring points are this close together (nuScenes: 0.33 degrees)."""
_SURFACE_DISTANCE_M = 0.5
"""Cameras ride 1.4 m and more above the road and further from walls; road that rises ahead passes nearer. On rendered
drives 0.8 m takes out two more hidden points in a hundred, and on real DDAD frames too much rising ground."""
_BEHIND_RATIO = 1.1
"""Less than this is the depth of one object."""


def visible(depth: SparseDepth, camera: Camera) -> SparseDepth:
    """Return sparse LiDAR depth on a camera's pixels, at any resolution, without what the camera cannot see.

    Source: ours. Hand-worked in tests/data/test_lidar_occlusion.py.
    """
    return depth.where(~occluded(depth.row, depth.column, depth.depth_m, camera))


def occluded(
    row: NDArray[np.int64], column: NDArray[np.int64], depth_m: NDArray[np.float32], camera: Camera
) -> NDArray[np.bool_]:
    """Return which pixels [n] with z-depth, given row by row, the camera cannot see."""
    rays = unit_rays(np.stack([column, row], axis=-1), camera.K, camera.lens)
    range_m = depth_m / rays[:, 2]
    reach_px = (max(1, round(_ROWS_RAD * camera.focal_px)), max(1, round(_COLUMNS_RAD * camera.focal_px)))
    row_start = np.searchsorted(row, np.arange(camera.height_px + 1))
    return np.asarray(_behind_a_neighbour(column, rays * range_m[:, None], range_m, row_start, reach_px))


@cached_njit(nogil=True, error_model="numpy")
def _behind_a_neighbour(
    column: np.ndarray,
    points_cam_m: np.ndarray,
    range_m: np.ndarray,
    row_start: np.ndarray,
    reach_px: tuple[int, int],
) -> np.ndarray:
    """Compare each row with the rows around it, both from left to right; `row_start` [H + 1] is where a row begins."""
    n_rows = len(row_start) - 1
    behind = np.zeros(len(column), np.bool_)
    for row in range(n_rows):
        for other in range(max(0, row - reach_px[0]), min(n_rows, row + reach_px[0] + 1)):
            first, end = row_start[other], row_start[other + 1]
            for i in range(row_start[row], row_start[row + 1]):
                while first < end and column[first] < column[i] - reach_px[1]:
                    first += 1
                if first == end:
                    break
                before_m = range_m[i] / _BEHIND_RATIO
                j = first
                while not behind[i] and j < end and column[j] <= column[i] + reach_px[1]:
                    near = range_m[j] < before_m
                    behind[i] = near and _line_distance_m(points_cam_m[i], points_cam_m[j]) < _SURFACE_DISTANCE_M
                    j += 1
    return behind


@cached_njit(nogil=True, error_model="numpy")
def _line_distance_m(p: np.ndarray, q: np.ndarray) -> float:
    """Return how near the line through two points passes the camera: |p x q| / |p - q|."""
    x, y, z = p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]
    dx, dy, dz = p[0] - q[0], p[1] - q[1], p[2] - q[2]
    return np.sqrt((x * x + y * y + z * z) / (dx * dx + dy * dy + dz * dz))
