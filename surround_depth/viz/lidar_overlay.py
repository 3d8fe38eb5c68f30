"""LiDAR drawn over the images it should fit: where the colours break off, the picture must have an edge."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.rig import Rig
from surround_depth.viz.colors import PANEL_RGB, DepthScale, hatch
from surround_depth.viz.drawing import Picture, canvas, draw_label, draw_text, fit, paste
from surround_depth.viz.mosaic import camera_rows, draw_legend

_GAP_PX = 4
_HEADER_PX = 40
_FOOTER_PX = 44
_DIM = 0.72  # the image under the points, so that dark and light points both stand out


def draw_points(
    image: Picture, uv_px: NDArray[np.floating], depth_m: NDArray[np.floating], scale: DepthScale, radius_px: float
) -> Picture:
    """Return the image [H, W, 3], darkened, with a disc per point at `uv_px` [P, 2], coloured by `depth_m` [P].

    Far points are drawn first, so near ones stay on top, as a solid world would hide them.
    """
    picture = np.ascontiguousarray(image * _DIM, dtype=np.uint8)
    colors = scale.colors(depth_m)
    # cv2 takes fixed-point centres: four fractional bits keep the sub-pixel position.
    centers = np.rint(uv_px * 16.0).astype(int)
    for i in np.argsort(-depth_m):
        cv2.circle(picture, centers[i].tolist(), round(radius_px * 16), colors[i].tolist(), -1, cv2.LINE_AA, 4)
    return picture


def draw_overlay_mosaic(
    rig: Rig, pictures: Mapping[str, Picture], title: str, scale: DepthScale, cell_width_px: int = 800
) -> Picture:
    """Return the cameras' pictures in ring order, rear row turned; a camera without one is striped grey."""
    rows = camera_rows(rig)
    camera = rig.cameras[0]
    cell_height_px = round(cell_width_px * camera.height_px / camera.width_px)
    width_px = max(len(row) for row in rows) * (cell_width_px + _GAP_PX)
    mosaic = canvas(_HEADER_PX + len(rows) * (cell_height_px + _GAP_PX) + _FOOTER_PX, max(width_px, 1150))
    mosaic[:_HEADER_PX] = PANEL_RGB
    draw_text(mosaic, title, 12, 27, 17)
    for r, row in enumerate(rows):
        for c, index in enumerate(row):
            name = rig.names[index]
            left_px, top_px = c * (cell_width_px + _GAP_PX), _HEADER_PX + r * (cell_height_px + _GAP_PX)
            picture = pictures[name] if name in pictures else hatch(cell_height_px, cell_width_px)
            paste(mosaic, fit(picture, cell_height_px, cell_width_px), left_px, top_px)
            draw_label(mosaic, name if name in pictures else f"{name}: no image", left_px, top_px)
    draw_legend(mosaic[-_FOOTER_PX:], scale)
    return mosaic
