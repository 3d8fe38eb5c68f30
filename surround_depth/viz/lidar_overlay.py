"""LiDAR drawn over the images it should fit: where the colours break off, the picture must have an edge."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.rig import Rig
from surround_depth.viz.camera_grid import draw_camera_grid
from surround_depth.viz.colors import DepthScale
from surround_depth.viz.drawing import Picture
from surround_depth.viz.mosaic import draw_legend

_FOOTER_PX = 44
_MIN_LEGEND_WIDTH_PX = 1150
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
    grid = draw_camera_grid(
        rig, pictures, title, cell_width_px, footer_px=_FOOTER_PX, min_width_px=_MIN_LEGEND_WIDTH_PX
    )
    draw_legend(grid[-_FOOTER_PX:], scale)
    return grid
