"""Fuse the depth of all cameras into one ego-frame cloud, corrected for the vehicle's motion between the images."""

from __future__ import annotations

import math

import numpy as np

from surround_depth.errors import ConfigError
from surround_depth.frame import PointCloud, SurroundDepth
from surround_depth.fusion.points import CloudBuffer, PixelLimits
from surround_depth.fusion.rays import camera_rays
from surround_depth.fusion.voxels import VOXEL_INDEX_LIMIT, merge_voxels
from surround_depth.geometry import invert_rigid

# A road 1.5 m below the camera is seen at 88.6 degrees from its normal when 60 m away; what is steeper than 89 degrees
# on both sides is no surface but the smear a network draws between a near edge and what lies behind it.
MAX_INCIDENCE_DEG = 89.0


def fuse(
    depth: SurroundDepth,
    *,
    max_range_m: float = 60.0,
    min_confidence: float = 0.5,
    voxel_m: float | None = 0.2,
    max_incidence_deg: float = MAX_INCIDENCE_DEG,
) -> PointCloud:
    """Return one cloud of all valid pixels, in the ego frame at the time of the newest valid camera.

    Every camera is placed by its own ego pose (they do not fire together); without poses the vehicle is taken as
    standing still. A voxel's point is the mean of its points in position and colour; its confidence is their highest,
    its camera the one that saw it from nearest. Points come out in a fixed order: equal input, equal bytes.

    Args:
        max_range_m: largest distance of a point from the ego origin.
        min_confidence: pixels below are left out; 0 keeps all valid ones.
        voxel_m: edge of the voxel grid; None keeps every point.
        max_incidence_deg: a pixel between a nearer and a farther neighbour, both reached by a surface more grazing
            than this, is a flying pixel and left out; 90 keeps all.

    Raises:
        ConfigError: an argument outside its range.
    """
    _check_limits(max_range_m, min_confidence, max_incidence_deg)
    _check_voxel(voxel_m, max_range_m)
    reference = depth.reference_index
    T_reference_cam = _camera_poses(depth, reference)
    steepest = math.tan(math.radians(max_incidence_deg)) if max_incidence_deg < 90.0 else math.inf
    limits = PixelLimits(max_range_m, min_confidence, steepest)
    buffer = CloudBuffer.allocate(depth.depth_m.size)
    for i in np.flatnonzero(depth.camera_valid).tolist():
        buffer.add_camera(depth, i, camera_rays(depth.rig.cameras[i]), T_reference_cam[i], limits)
    points = buffer.content() if voxel_m is None else merge_voxels(buffer.content(), voxel_m)
    return PointCloud(
        points_m=points.points_m,
        coordinate_frame="ego",
        stamp_ns=int(depth.stamps_ns[reference]),
        frame_id=depth.frame_id,
        T_world_ego=None if depth.T_world_ego is None else depth.T_world_ego[reference],
        rgb=points.rgb,
        confidence=points.confidence,
        camera_index=points.camera_index,
    )


def _check_limits(max_range_m: float, min_confidence: float, max_incidence_deg: float) -> None:
    if not (math.isfinite(max_range_m) and max_range_m > 0.0):
        raise ConfigError(f"max_range_m is a positive number of metres, got {max_range_m}")
    if not 0.0 <= min_confidence <= 1.0:
        raise ConfigError(f"min_confidence is a probability, got {min_confidence}")
    if not 0.0 < max_incidence_deg <= 90.0:
        raise ConfigError(f"max_incidence_deg lies in (0, 90], got {max_incidence_deg}")


def _check_voxel(voxel_m: float | None, max_range_m: float) -> None:
    if voxel_m is not None and not max_range_m / VOXEL_INDEX_LIMIT < voxel_m < math.inf:
        raise ConfigError(f"voxel_m is a length in metres of at least 1e-6 of max_range_m, or None; got {voxel_m}")


def _camera_poses(depth: SurroundDepth, reference: int) -> np.ndarray:
    """Return T_reference_cam [N, 4, 4]: each camera at its own time, seen from the ego frame at the reference time."""
    T_ego_cam = depth.rig.T_ego_cam
    if depth.T_world_ego is None:
        return T_ego_cam
    T_reference_world = invert_rigid(depth.T_world_ego[reference])
    return T_reference_world @ depth.T_world_ego @ T_ego_cam
