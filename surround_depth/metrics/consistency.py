"""Whether neighbouring cameras say the same of what both see: each one's depth as a distance from the vehicle.

`consistency_pairs` is the published rule, `visible_pairs` ours ("consistency+"). Both give pairs of distances per
camera; `consistency` takes the errors over any number of them, so that a batch can be pooled as it is published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.geometry import Array, invert_rigid, ray_grid, transform, unproject
from surround_depth.metrics.depth import depth_errors
from surround_depth.metrics.measure import Measure
from surround_depth.metrics.overlap import ring_neighbours
from surround_depth.metrics.reprojection import nearest_samples, reproject
from surround_depth.rig import Rig

Maps = NDArray[np.float32]

SAME_SURFACE_M = 1.0
"""How far in z a neighbour's own depth may lie from a point that it is said to see."""


class DistancePairs(NamedTuple):
    """What two cameras say of the same places: metres from the vehicle's origin; NaN = no answer."""

    neighbour_m: Array  # [P] what the neighbour says
    own_m: Array  # [P] what the camera itself says


class _Seen(NamedTuple):
    """Truth pixels of camera i in neighbour j."""

    pixel: NDArray[np.intp]  # [P, 2] (row, column) in camera i
    depth_m: Array  # [P] z of the point in j
    uv_px: Array  # [P, 2] in j
    said_m: Array  # [P] distance that j says there; 0 outside its image
    inside: NDArray[np.bool_]  # [P]


def consistency(pairs: Sequence[DistancePairs]) -> Measure:
    """Return the errors of the neighbours' distances against the camera's own, pooled over `pairs` (the images of one
    camera in a batch, or of one moment); pairs with a NaN do not count, none at all gives NaN."""
    neighbour_m = np.concatenate([p.neighbour_m for p in pairs]) if pairs else np.empty(0)
    own_m = np.concatenate([p.own_m for p in pairs]) if pairs else np.empty(0)
    return Measure.of_errors(depth_errors(neighbour_m, own_m))


def consistency_pairs(rig: Rig, distances_m: Array, truth_m: Maps) -> tuple[DistancePairs, ...]:
    """Return the pairs of each camera [N] by the published rule, faults included.

    At every pixel with truth (no range cap): lift with the TRUE depth, project into each ring neighbour by the static
    extrinsics, take its predicted distance at the nearest pixel, and ADD what the two say, as if no pixel were seen by
    both. No test of occlusion or own body. Counted are pixels that lie in at least one neighbour.

    Args:
        rig: cameras at the network's size [H, W].
        distances_m: `vehicle_distances` of the predicted depth, clamped to the scored range as the source does.
        truth_m: true z-depth [N, H, W]; NaN or 0 = none.

    Source: utils/logger.py of CylinderDepth (protocols.md, section 5).
    """
    pairs = []
    for i, neighbours in enumerate(ring_neighbours(rig)):
        row, column = _true_pixels(truth_m[i])
        summed_m, n_seeing = np.zeros(len(row)), np.zeros(len(row), np.int64)
        for j in neighbours:
            seen = _seen_in(rig, i, j, truth_m[i], distances_m[j])
            summed_m += seen.said_m
            n_seeing += seen.inside
        counted = n_seeing > 0
        pairs.append(DistancePairs(summed_m[counted], distances_m[i][row, column][counted]))
    return tuple(pairs)


def visible_pairs(rig: Rig, distances_m: Array, truth_m: Maps) -> tuple[DistancePairs, ...]:
    """Return the pairs of each camera [N] by our rule: only what the neighbour truly sees, each neighbour by itself.

    As `consistency_pairs`, but a point counts in a neighbour only in front of it, outside both own-body masks, and
    where the neighbour's true depth at that pixel exists and lies within `SAME_SURFACE_M`; a pixel that both
    neighbours see gives two pairs. With sparse truth few points pass the depth test: use it on dense truth, or on
    truth accumulated over sweeps.
    """
    return tuple(
        _joined(_visible_in_neighbours(rig, i, neighbours, distances_m, truth_m))
        for i, neighbours in enumerate(ring_neighbours(rig))
    )


def vehicle_distances(rig: Rig, depth_m: Maps) -> Array:
    """Return the Euclidean distance [N, H, W] from the ego origin to each predicted point; NaN where there is none.

    Raises:
        DataError: `depth_m` is not [N, H, W] of this rig.
    """
    sizes = {(camera.height_px, camera.width_px) for camera in rig.cameras}
    if depth_m.shape[:1] != (len(rig),) or sizes != {depth_m.shape[1:]}:
        raise DataError(f"depth {depth_m.shape} is not [N, H, W] of the {len(rig)} cameras of sizes {sorted(sizes)}")
    distances_m = np.empty(depth_m.shape)
    for i, camera in enumerate(rig.cameras):
        points_cam_m = unproject(depth_m[i], ray_grid(camera.height_px, camera.width_px, camera.K, camera.lens))
        points_ego_m = transform(camera.T_ego_cam, points_cam_m.reshape(-1, 3))
        distances_m[i] = np.linalg.norm(points_ego_m, axis=1).reshape(depth_m.shape[1:])
    return distances_m


def _visible_in_neighbours(
    rig: Rig, i: int, neighbours: Sequence[int], distances_m: Array, truth_m: Maps
) -> Iterator[DistancePairs]:
    for j in neighbours:
        seen = _seen_in(rig, i, j, truth_m[i], distances_m[j])
        true_m, _ = nearest_samples(truth_m[j], seen.uv_px)
        row, column = seen.pixel.T
        with np.errstate(invalid="ignore"):
            same_surface = (true_m > 0) & (np.abs(true_m - seen.depth_m) <= SAME_SURFACE_M)
            visible = seen.inside & (seen.depth_m > 0) & same_surface
        own_body_i, own_body_j = rig.cameras[i].own_body, rig.cameras[j].own_body
        if own_body_i is not None:
            visible &= ~own_body_i[row, column]
        if own_body_j is not None:
            visible &= nearest_samples(own_body_j.astype(np.float32), seen.uv_px)[0] == 0
        yield DistancePairs(seen.said_m[visible], distances_m[i][row, column][visible])


def _seen_in(rig: Rig, i: int, j: int, truth_m: NDArray[np.floating], distance_m: Array) -> _Seen:
    row, column = _true_pixels(truth_m)
    T_j_i = invert_rigid(rig.cameras[j].T_ego_cam) @ rig.cameras[i].T_ego_cam
    there = reproject(np.stack([column, row], axis=-1), truth_m[row, column], rig.cameras[i], rig.cameras[j], T_j_i)
    said_m, inside = nearest_samples(distance_m, there.uv_px)
    return _Seen(np.stack([row, column], axis=-1), there.depth_m, there.uv_px, said_m, inside)


def _true_pixels(truth_m: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    with np.errstate(invalid="ignore"):
        row, column = np.nonzero((truth_m > 0) & np.isfinite(truth_m))
    return row, column


def _joined(pairs: Iterator[DistancePairs]) -> DistancePairs:
    parts = list(pairs)
    if not parts:
        return DistancePairs(np.empty(0), np.empty(0))
    return DistancePairs(np.concatenate([p.neighbour_m for p in parts]), np.concatenate([p.own_m for p in parts]))
