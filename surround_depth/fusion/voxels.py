"""Merge points that share a voxel, with a hash table (numba)."""

from __future__ import annotations

import numpy as np

from surround_depth.fusion.kernel import kernel
from surround_depth.fusion.points import FusedPoints

# A voxel index takes 21 bits of a 64-bit key on each axis.
_INDEX_BITS = 21
VOXEL_INDEX_LIMIT = 1 << (_INDEX_BITS - 1)
_EMPTY = -1


def merge_voxels(points: FusedPoints, voxel_m: float) -> FusedPoints:
    """Return one point for each voxel that holds any, in the order in which the voxels were first met.

    Position and colour are means over the voxel's points, the confidence is their highest, camera and distance are
    those of the point seen from nearest. Voxel borders lie at multiples of `voxel_m`. No coordinate may reach
    `VOXEL_INDEX_LIMIT * voxel_m`.
    """
    voxel_of_point, n_voxels = _assign_voxels(points.points_m, voxel_m)
    mean, rgb, confidence, nearest = _reduce_voxels(
        points.points_m, points.rgb, points.confidence, points.camera_range_m, voxel_of_point, n_voxels
    )
    return FusedPoints(mean, rgb, confidence, points.camera_index[nearest], points.camera_range_m[nearest])


@kernel
def _assign_voxels(points_m: np.ndarray, voxel_m: float) -> tuple[np.ndarray, int]:
    """Return each point's voxel number [P] and how many voxels there are."""
    table_size = 16
    while table_size < 2 * len(points_m):
        table_size *= 2
    keys = np.full(table_size, _EMPTY, np.int64)
    numbers = np.empty(table_size, np.int32)
    voxel_of_point = np.empty(len(points_m), np.int32)
    n_voxels = 0
    for i in range(len(points_m)):
        key = np.int64(0)
        for axis in range(3):
            index = np.int64(np.floor(points_m[i, axis] / voxel_m)) + VOXEL_INDEX_LIMIT
            key = (key << _INDEX_BITS) | index
        slot = _hash(key) & (table_size - 1)
        while keys[slot] != _EMPTY and keys[slot] != key:
            slot = (slot + 1) & (table_size - 1)
        if keys[slot] == _EMPTY:
            keys[slot] = key
            numbers[slot] = n_voxels
            n_voxels += 1
        voxel_of_point[i] = numbers[slot]
    return voxel_of_point, n_voxels


@kernel
def _hash(key: np.int64) -> np.int64:
    """Mix the bits of a key (Fibonacci hashing): neighbouring voxels must not fall into neighbouring slots."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(32))


@kernel
def _reduce_voxels(
    points_m: np.ndarray,
    rgb: np.ndarray,
    confidence: np.ndarray,
    camera_range_m: np.ndarray,
    voxel_of_point: np.ndarray,
    n_voxels: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean position and colour, highest confidence, and the place of the nearest point, of each voxel."""
    total = np.zeros((n_voxels, 6), np.float64)
    count = np.zeros(n_voxels, np.int32)
    best = np.zeros(n_voxels, np.float32)
    nearest = np.zeros(n_voxels, np.int64)
    for i in range(len(points_m)):
        voxel = voxel_of_point[i]
        for axis in range(3):
            total[voxel, axis] += points_m[i, axis]
            total[voxel, 3 + axis] += rgb[i, axis]
        if count[voxel] == 0 or camera_range_m[i] < camera_range_m[nearest[voxel]]:
            nearest[voxel] = i
        best[voxel] = max(best[voxel], confidence[i])
        count[voxel] += 1
    mean = np.empty((n_voxels, 3), np.float32)
    mean_rgb = np.empty((n_voxels, 3), np.uint8)
    for voxel in range(n_voxels):
        for axis in range(3):
            mean[voxel, axis] = total[voxel, axis] / count[voxel]
            mean_rgb[voxel, axis] = np.uint8(total[voxel, 3 + axis] / count[voxel] + 0.5)
    return mean, mean_rgb, best, nearest
