"""Flying pixels: what a network smears between a near edge and the far surface behind it (numba)."""

from __future__ import annotations

import numpy as np

from surround_depth.fusion.kernel import kernel
from surround_depth.geometry import MIN_RAY_Z


@kernel
def seen_ranges(depth_m: np.ndarray, valid: np.ndarray, sky: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Return the distance each pixel sees [H, W]: infinite in the sky, NaN where there is no evidence."""
    ranges_m = np.empty_like(depth_m)
    for v in range(depth_m.shape[0]):
        for u in range(depth_m.shape[1]):
            if valid[v, u] and rays[v, u, 2] > MIN_RAY_Z:
                ranges_m[v, u] = depth_m[v, u] / rays[v, u, 2]
            else:
                ranges_m[v, u] = np.inf if sky[v, u] else np.nan
    return ranges_m


@kernel
def flying_pixels(
    ranges_m: np.ndarray, chord_across: np.ndarray, chord_down: np.ndarray, steepest: float
) -> np.ndarray:
    """Return where a pixel [H, W] lies between a nearer and a farther neighbour in its row or column, gaps to both.

    A gap is a step that only a surface steeper than `steepest` (the tangent of its incidence) would make. A clean edge
    keeps its support on one side, a thin pole is nearer than both neighbours: neither flies.
    """
    height, width = ranges_m.shape
    across = _gaps(ranges_m, chord_across, steepest, 0, 1)
    down = _gaps(ranges_m, chord_down, steepest, 1, 0)
    flying = np.zeros((height, width), np.bool_)
    for v in range(height):
        for u in range(1, width - 1):
            flying[v, u] = across[v, u - 1] * across[v, u] == 1
    for v in range(1, height - 1):
        for u in range(width):
            flying[v, u] |= down[v - 1, u] * down[v, u] == 1
    return flying


@kernel
def _gaps(ranges_m: np.ndarray, chord: np.ndarray, steepest: float, dv: int, du: int) -> np.ndarray:
    """Return +1 where the next pixel lies behind a gap, -1 where this one does, 0 where both may be one surface."""
    height, width = chord.shape
    gaps = np.empty((height, width), np.int8)
    for v in range(height):
        for u in range(width):
            here, there = ranges_m[v, u], ranges_m[v + dv, u + du]
            # The nearer range makes the chord; every comparison with NaN is False.
            limit_m = np.float32(steepest) * min(here, there) * chord[v, u]
            gaps[v, u] = np.int8(there - here > limit_m) - np.int8(here - there > limit_m)
    return gaps
