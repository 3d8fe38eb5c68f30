"""What a nuScenes annotation says of an actor beyond its box: LiDAR points inside, how much of it the cameras see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.synthetic.drive_types import RenderedBox, RenderedSample
from surround_depth.geometry import Array, invert_rigid, project, transform
from surround_depth.rig import Rig

# A face point counts as seen when the rendered surface at its pixel lies no further than this in front of it: actors
# are rounder than their boxes.
_SURFACE_SLACK_M = 0.6
_FACE_GRID = np.array([-0.8, -0.4, 0.0, 0.4, 0.8])
_MOVING_MPS = 0.2

VISIBILITY_LEVELS = {"1": (0, 40), "2": (40, 60), "3": (60, 80), "4": (80, 100)}  # percent
ATTRIBUTES = {
    "vehicle.moving": "Vehicle is moving.",
    "vehicle.parked": "Vehicle is stationary.",
    "pedestrian.moving": "The human is moving.",
    "pedestrian.standing": "The human is standing.",
}


def count_lidar_points(box: RenderedBox, points_world_m: Array) -> int:
    """Return how many points [P, 3] lie inside a box."""
    points_box_m = transform(invert_rigid(box.T_world_box), points_world_m)
    return int((np.abs(points_box_m) <= np.array(box.size_lwh_m) / 2.0).all(axis=1).sum())


def visibility_token(box: RenderedBox, rig: Rig, sample: RenderedSample) -> str:
    """Return the visibility level "1" to "4": the share of the camera-facing surface that no other thing hides."""
    seen = facing = 0
    for i, camera in enumerate(rig.cameras):
        T_world_cam = sample.T_world_ego[i] @ camera.T_ego_cam
        surface_world_m = _facing_points(box, T_world_cam[:3, 3])
        points_cam_m = transform(invert_rigid(T_world_cam), surface_world_m)
        uv_px = np.nan_to_num(project(points_cam_m, camera.K, camera.lens), nan=-1e6)
        column, row = np.floor(uv_px + 0.5).T
        inside = (column >= 0) & (column < camera.width_px) & (row >= 0) & (row < camera.height_px)
        surface_m = sample.depth_m[i][row[inside].astype(int), column[inside].astype(int)]
        facing += int(inside.sum())
        # NaN is sky: nothing hides the point.
        seen += int((~(surface_m < points_cam_m[inside, 2] - _SURFACE_SLACK_M)).sum())
    share = seen / facing if facing else 0.0
    return str(1 + int(share >= 0.4) + int(share >= 0.6) + int(share >= 0.8))


def attribute_of(box: RenderedBox) -> str | None:
    """Return the nuScenes attribute of an actor, None for a category that has none."""
    moves = float(np.linalg.norm(box.velocity_world_mps)) > _MOVING_MPS
    if box.category.startswith("human.pedestrian"):
        return "pedestrian.moving" if moves else "pedestrian.standing"
    if box.category.startswith("vehicle.") and "cycle" not in box.category:
        return "vehicle.moving" if moves else "vehicle.parked"
    return None


def _facing_points(box: RenderedBox, camera_world_m: Array) -> NDArray[np.float64]:
    """Return a grid of world points [P, 3] on the faces of a box that look at the camera."""
    half_m = np.array(box.size_lwh_m) / 2.0
    camera_box_m = transform(invert_rigid(box.T_world_box), camera_world_m[None])[0]
    a, b = (grid.ravel() for grid in np.meshgrid(_FACE_GRID, _FACE_GRID))
    faces = []
    for axis in range(3):
        side = np.sign(camera_box_m[axis])
        if abs(camera_box_m[axis]) > half_m[axis]:
            faces.append(np.insert(np.stack([a, b], axis=1), axis, side, axis=1) * half_m)
    return transform(box.T_world_box, np.concatenate(faces)) if faces else np.empty((0, 3))
