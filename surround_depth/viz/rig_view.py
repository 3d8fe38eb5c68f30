"""The rig from above, to scale: where cameras sit, where they look, what they see together."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.rig import Camera, Rig
from surround_depth.viz.colors import ACCENT_RGB, MUTED_RGB, PANEL_RGB, TEXT_RGB
from surround_depth.viz.drawing import Color, Picture, canvas, draw_text, text_width_px

_GRID_RGB = (36, 40, 48)
_EGO_RGB = (70, 78, 90)
_RIGHT_RGB, _FORWARD_RGB = (235, 87, 87), (86, 156, 255)  # camera x red and z blue, as every robotics viewer has them
_CAMERA_RGB: tuple[Color, ...] = (
    (94, 200, 255),
    (255, 196, 61),
    (140, 226, 131),
    (255, 138, 128),
    (196, 160, 255),
    (255, 170, 220),
    (130, 235, 215),
    (215, 215, 120),
)
_AXIS_M = 0.45


@dataclass(frozen=True)
class RigView:
    """A square from above, ego x up and ego y to the left, grid lines every metre."""

    size_px: int = 1000
    half_side_m: float = 6.0
    center_x_m: float = 0.8
    view_radius_m: float = 4.4

    def pixel_of(self, xy_ego_m: NDArray[np.floating]) -> NDArray[np.intp]:
        """Return column and row [..., 2] of ego points [..., 2]."""
        pixels_per_m = self.size_px / (2.0 * self.half_side_m)
        column = self.size_px / 2.0 - xy_ego_m[..., 1] * pixels_per_m
        row = self.size_px / 2.0 - (xy_ego_m[..., 0] - self.center_x_m) * pixels_per_m
        return np.rint(np.stack([column, row], axis=-1)).astype(np.intp)


def draw_rig_view(rig: Rig, view: RigView = RigView()) -> Picture:
    """Return the rig from above [S, S + table, 3]: place, axes, field of view and name of each camera, and a table."""
    picture = canvas(view.size_px, view.size_px)
    _draw_grid(picture, view)
    for index, camera in enumerate(rig.cameras):
        _draw_view_cone(picture, camera, view, _CAMERA_RGB[index % len(_CAMERA_RGB)])
    for index, camera in enumerate(rig.cameras):
        _draw_camera(picture, camera, view, _CAMERA_RGB[index % len(_CAMERA_RGB)])
    return np.concatenate([picture, _draw_table(rig, view.size_px)], axis=1)


def _draw_grid(picture: Picture, view: RigView) -> None:
    steps = np.arange(-np.ceil(view.half_side_m) - 1, np.ceil(view.half_side_m) + 2)
    low_m, high_m = view.center_x_m - view.half_side_m, view.center_x_m + view.half_side_m
    for step in steps:
        color = _EGO_RGB if step == 0 else _GRID_RGB
        for ends in ([[step, -view.half_side_m], [step, view.half_side_m]], [[low_m, step], [high_m, step]]):
            start, end = view.pixel_of(np.array(ends)).tolist()
            cv2.line(picture, start, end, color, 1)
        column, row = view.pixel_of(np.array([step, view.half_side_m])).tolist()
        if 20 < row < view.size_px:
            draw_text(picture, f"x {step:+.0f} m", column + 6, row - 4, 12, MUTED_RGB)
        column, row = view.pixel_of(np.array([low_m, step])).tolist()
        if 0 <= column < view.size_px - 60:
            draw_text(picture, f"y {step:+.0f} m", column + 4, row - 6, 12, MUTED_RGB)
    origin = view.pixel_of(np.zeros(2)).tolist()
    for tip, color in (([1.0, 0.0], _RIGHT_RGB), ([0.0, 1.0], (120, 220, 120))):
        cv2.arrowedLine(picture, origin, view.pixel_of(np.array(tip)).tolist(), color, 2, cv2.LINE_AA, tipLength=0.15)
    draw_text(picture, "ego (x forward, y left)", origin[0] + 8, origin[1] + 20, 13, MUTED_RGB)


def _draw_view_cone(picture: Picture, camera: Camera, view: RigView, color: Color) -> None:
    """Shade the field of view at the middle row of the image."""
    left_rad, right_rad = camera.yaw_limits_rad
    angles = camera.yaw_rad + np.linspace(left_rad, right_rad, 48)
    position = camera.T_ego_cam[:2, 3]
    arc = position + view.view_radius_m * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    outline = view.pixel_of(np.concatenate([position[None], arc])).astype(np.int32)
    shade = picture.copy()
    cv2.fillPoly(shade, [outline], color, cv2.LINE_AA)
    picture[:] = cv2.addWeighted(shade, 0.16, picture, 0.84, 0.0)
    cv2.polylines(picture, [outline], True, color, 1, cv2.LINE_AA)


def _draw_camera(picture: Picture, camera: Camera, view: RigView, color: Color) -> None:
    position = camera.T_ego_cam[:2, 3]
    start = view.pixel_of(position).tolist()
    for axis, axis_color in ((0, _RIGHT_RGB), (2, _FORWARD_RGB)):
        tip = view.pixel_of(position + _AXIS_M * camera.T_ego_cam[:2, axis]).tolist()
        cv2.arrowedLine(picture, start, tip, axis_color, 2, cv2.LINE_AA, tipLength=0.25)
    cv2.circle(picture, start, 4, color, -1, cv2.LINE_AA)
    # Names stand inside the cone, where it is wide.
    direction = np.array([np.cos(camera.yaw_rad), np.sin(camera.yaw_rad)])
    column, row = view.pixel_of(position + 0.8 * view.view_radius_m * direction).tolist()
    width_px = text_width_px(camera.name, 15)
    left_px = int(np.clip(column - width_px / 2, 4, view.size_px - width_px - 4))
    draw_text(picture, camera.name, left_px, int(np.clip(row + 5, 18, view.size_px - 8)), 15, color)


def _draw_table(rig: Rig, height_px: int) -> Picture:
    """Return the calibration as text: what a technician compares with the drawing of the vehicle."""
    table = canvas(height_px, 560, PANEL_RGB)
    draw_text(table, f"rig {rig.name}", 16, 36, 20, ACCENT_RGB)
    draw_text(table, "camera axes: x right (red), z forward (blue)", 16, 62, 13, MUTED_RGB)
    for index, camera in enumerate(rig.cameras):
        top_px = 100 + 96 * index
        x_m, y_m, z_m = camera.T_ego_cam[:3, 3]
        left_rad, right_rad = camera.yaw_limits_rad
        draw_text(table, camera.name, 16, top_px, 16, _CAMERA_RGB[index % len(_CAMERA_RGB)])
        down_rad = -np.arcsin(np.clip(camera.T_ego_cam[2, 2], -1.0, 1.0))
        lines = (
            f"{camera.width_px}x{camera.height_px}, focal {camera.focal_px:.0f} px, {camera.lens.model}, "
            f"field of view {np.degrees(left_rad - right_rad):.0f} deg",
            f"at x {x_m:+.3f}  y {y_m:+.3f}  z {z_m:+.3f} m",
            f"yaw {np.degrees(camera.yaw_rad):+.1f}, down {np.degrees(down_rad):+.1f} deg, "
            f"fires {camera.trigger_offset_ms:+.1f} ms"
            + ("" if camera.own_body is None else f", own body {100 * camera.own_body.mean():.0f} %"),
        )
        for i, line in enumerate(lines):
            draw_text(table, line, 32, top_px + 22 * (i + 1), 13, TEXT_RGB)
    return table
