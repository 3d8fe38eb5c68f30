"""Which truth of a camera its ring neighbours see too: the pixels that "AbsRel in overlap" is taken over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from surround_depth.geometry import Array
from surround_depth.metrics.reprojection import reproject
from surround_depth.rig import Camera, Rig

InsideRule = Literal["last_pixel", "width"]
"""What lies inside a neighbour of W x H: last_pixel: 0 <= u <= W - 1 (nuScenes); width: 0 <= u < W (DDAD); v alike."""


@dataclass(frozen=True, eq=False)
class Neighbour:
    """Another camera and how to get there."""

    camera: Camera
    T_neighbour_camera: Array  # [4, 4] from the camera in question: static extrinsics, or poses at image times


def ring_neighbours(rig: Rig) -> tuple[tuple[int, ...], ...]:
    """Return for each camera of `rig` the indices of its neighbours in the ring, the counter-clockwise one first.

    Published code takes the two nearest cameras whether or not their views meet; a rig of two has one each, a single
    camera none.
    """
    ring = rig.ring_order()
    n = len(ring)
    neighbours: list[tuple[int, ...]] = [()] * n
    for place, camera in enumerate(ring):
        around = (ring[place - 1], ring[(place + 1) % n])
        neighbours[camera] = tuple(dict.fromkeys(other for other in around if other != camera))
    return tuple(neighbours)


def overlap_mask(
    uv_px: NDArray[np.integer] | NDArray[np.floating],
    depth_m: NDArray[np.floating],
    camera: Camera,
    neighbours: Sequence[Neighbour],
    inside: InsideRule,
) -> NDArray[np.bool_]:
    """Return which truth pixels [P] of `camera` at least one neighbour sees.

    A point counts as seen where it has z > 0 in the neighbour and an unrounded pixel inside it, hidden there or not.
    NaN depths are seen by nobody; a mask without True means an empty overlap, whose errors are NaN over 0 pixels.

    Args:
        uv_px: whole pixels (u, v) [P, 2] of the truth, at its original resolution.
        depth_m: true z-depth there [P].

    Source: tools/export_overlap_depth_{ddad,nuscenes}.py of CylinderDepth (protocols.md, section 5); its exporters have
    no test of occlusion, and use poses at image time on DDAD, static extrinsics on nuScenes.
    """
    seen = np.zeros(len(depth_m), np.bool_)
    for neighbour in neighbours:
        seen |= _sees(uv_px, depth_m, camera, neighbour, inside)
    return seen


def _sees(
    uv_px: NDArray[np.integer] | NDArray[np.floating],
    depth_m: NDArray[np.floating],
    camera: Camera,
    neighbour: Neighbour,
    inside: InsideRule,
) -> NDArray[np.bool_]:
    there = reproject(uv_px, depth_m, camera, neighbour.camera, neighbour.T_neighbour_camera)
    width, height = neighbour.camera.width_px, neighbour.camera.height_px
    u, v = there.uv_px.T
    with np.errstate(invalid="ignore"):
        seen = (there.depth_m > 0) & (u >= 0) & (v >= 0)
        seen &= (u <= width - 1) & (v <= height - 1) if inside == "last_pixel" else (u < width) & (v < height)
    return np.asarray(seen)
