"""The cloud from above: forward is up, one colour per height, range rings in metres, our own vehicle in the middle."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import invert_rigid, transform
from surround_depth.viz.colors import ACCENT_RGB, MUTED_RGB, turbo
from surround_depth.viz.drawing import Picture, canvas, draw_text

_RING_RGB = (58, 63, 72)
# Lower than this is road or kerb: drawn dark, so that one sees what stands on it.
_ROAD_HEIGHT_M = 0.3
_LIDAR_RGB = (245, 245, 245)
_FADE_RGB = np.array((27, 30, 36), np.float32)
# A mid-size car around the ego origin of nuScenes and DDAD, which lies on the ground below the rear axle.
_VEHICLE_X_M = (-1.0, 3.7)
_VEHICLE_Y_M = (-0.95, 0.95)


@dataclass(frozen=True)
class BirdView:
    """What a view from above shows: a square of `2 * range_m` around the ego origin, drawn `size_px` wide."""

    size_px: int = 880
    range_m: float = 45.0
    ring_step_m: float = 10.0
    # Road at -0.5..0.3 m stays dark and calm, vehicles and pedestrians stand out, walls and crowns end the scale.
    min_height_m: float = -0.5
    max_height_m: float = 4.0

    @property
    def pixels_per_m(self) -> float:
        """Scale of the view."""
        return self.size_px / (2.0 * self.range_m)

    def pixel_of(self, points_ego_m: NDArray[np.floating]) -> NDArray[np.intp]:
        """Return column and row [..., 2] of ego points [..., 2 or 3]: x forward is up, y left is left."""
        center = self.size_px / 2.0
        column = np.floor(center - points_ego_m[..., 1] * self.pixels_per_m)
        row = np.floor(center - points_ego_m[..., 0] * self.pixels_per_m)
        return np.stack([column, row], axis=-1).astype(np.intp)


def draw_bird_view(cloud: PointCloud, view: BirdView, lidar: PointCloud | None = None) -> Picture:
    """Return the cloud from above [S, S, 3]; what stands on the road in a LiDAR sweep is dotted white.

    Raises:
        DataError: a cloud is not in the ego frame.
    """
    for given in (cloud, lidar):
        if given is not None and given.coordinate_frame != "ego":
            raise DataError(f"a view from above needs a cloud in the ego frame, got '{given.coordinate_frame}'")
    picture = canvas(view.size_px, view.size_px)
    _draw_rings(picture, view)
    _draw_points(picture, view, cloud.points_m, height_colors(cloud.points_m[:, 2], view), width_px=2)
    if lidar is not None:
        points_m = _at_time_of(cloud, lidar)
        standing = points_m[_is_standing(points_m[:, 2], view)]
        _draw_points(picture, view, standing, np.broadcast_to(_LIDAR_RGB, standing.shape).astype(np.uint8), width_px=1)
    _draw_ring_labels(picture, view)
    _draw_vehicle(picture, view)
    return picture


def _at_time_of(cloud: PointCloud, lidar: PointCloud) -> NDArray[np.floating]:
    """Return the sweep's points in the ego frame of the cloud's time; as they are where a pose is unknown."""
    if cloud.T_world_ego is None or lidar.T_world_ego is None:
        return lidar.points_m
    return transform(invert_rigid(cloud.T_world_ego) @ lidar.T_world_ego, lidar.points_m.astype(np.float64))


def _is_standing(height_m: NDArray[np.floating], view: BirdView) -> NDArray[np.bool_]:
    """Above the road and not above everything: the walls and vehicles one wants to compare."""
    return (height_m > _ROAD_HEIGHT_M) & (height_m < view.max_height_m)


def height_colors(height_m: NDArray[np.floating], view: BirdView) -> NDArray[np.uint8]:
    """Return turbo colours [P, 3] of heights [P] above the ego origin; the road is dark, what stands on it is not."""
    position = np.clip((height_m - view.min_height_m) / (view.max_height_m - view.min_height_m), 0.0, 1.0)
    strength = np.clip(0.3 + (height_m - _ROAD_HEIGHT_M), 0.3, 1.0)[:, None]
    return np.rint(turbo(position) * strength + _FADE_RGB * (1.0 - strength)).astype(np.uint8)


def _draw_points(picture: Picture, view: BirdView, points_m: NDArray, colors: NDArray[np.uint8], width_px: int) -> None:
    """Paint points as small squares, the highest last, so that a roof hides the road below it."""
    order = np.argsort(points_m[:, 2], kind="stable")
    pixel, colors = view.pixel_of(points_m[order]), colors[order]
    for dv in range(width_px):
        for du in range(width_px):
            column, row = pixel[:, 0] + du, pixel[:, 1] + dv
            inside = (column >= 0) & (row >= 0) & (column < view.size_px) & (row < view.size_px)
            picture[row[inside], column[inside]] = colors[inside]


def _rings_m(view: BirdView) -> NDArray[np.floating]:
    return np.arange(view.ring_step_m, view.range_m + 1e-6, view.ring_step_m)


def _draw_rings(picture: Picture, view: BirdView) -> None:
    center = view.size_px // 2
    for radius_m in _rings_m(view):
        cv2.circle(picture, (center, center), round(radius_m * view.pixels_per_m), _RING_RGB, 1, cv2.LINE_AA)
    cv2.line(picture, (center, 0), (center, view.size_px), _RING_RGB, 1)
    cv2.line(picture, (0, center), (view.size_px, center), _RING_RGB, 1)


def _draw_ring_labels(picture: Picture, view: BirdView) -> None:
    center = view.size_px // 2
    for radius_m in _rings_m(view):
        offset_px = round(radius_m * view.pixels_per_m * np.sqrt(0.5))
        draw_text(picture, f"{radius_m:.0f} m", center + offset_px + 3, center + offset_px + 3, 13, MUTED_RGB)


def _draw_vehicle(picture: Picture, view: BirdView) -> None:
    """Draw our own vehicle to scale, its nose forward."""
    (back, front), (right, left) = _VEHICLE_X_M, _VEHICLE_Y_M
    shoulder = front - 0.8  # the nose narrows from here
    left_side = [(back, left), (shoulder, left), (front, 0.4 * left)]
    right_side = [(front, 0.4 * right), (shoulder, right), (back, right)]
    corners = np.array(left_side + right_side)
    outline = view.pixel_of(corners).astype(np.int32)
    cv2.fillPoly(picture, [outline], (30, 30, 30), cv2.LINE_AA)
    cv2.polylines(picture, [outline], True, ACCENT_RGB, 2, cv2.LINE_AA)
