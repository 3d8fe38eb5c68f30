"""One picture of one moment: every camera's image and depth in ring order, and the cloud from above."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from surround_depth.frame import PointCloud, SurroundDepth
from surround_depth.rig import Rig
from surround_depth.viz.cloud_view import BirdView, draw_bird_view, height_colors
from surround_depth.viz.colors import (
    ACCENT_RGB,
    MUTED_RGB,
    PANEL_RGB,
    SKY_RGB,
    TEXT_RGB,
    DepthScale,
    color_depth,
    dimmed,
    hatch,
    turbo,
)
from surround_depth.viz.drawing import Picture, canvas, draw_label, draw_text, fit, paste, text_width_px

_GAP_PX = 4
_HEADER_PX = 40
_FOOTER_PX = 44
_DEPTH_LEGEND_PX, _HEIGHT_LEGEND_PX = 980, 370
_BAR_PX = slice(8, 21)  # rows of a colour bar in the footer
_TICKS_M = (2, 3, 5, 10, 20, 30, 50, 80)


@dataclass(frozen=True)
class MosaicStyle:
    """Sizes and scales of a mosaic; the same for every frame of a video."""

    cell_width_px: int = 384
    scale: DepthScale = field(default_factory=DepthScale)
    bird_range_m: float = 45.0
    min_confidence: float = 0.5  # depth below is drawn dim; give what the cloud was fused with


DEFAULT_STYLE = MosaicStyle()


def draw_mosaic(
    depth: SurroundDepth,
    cloud: PointCloud,
    *,
    title: str = "",
    status: str = "",
    lidar: PointCloud | None = None,
    style: MosaicStyle = DEFAULT_STYLE,
) -> Picture:
    """Return the mosaic [H, W, 3], both sides even.

    Front cameras are the upper pair of rows (images above their depth), rear cameras the lower pair, with what is left
    of the vehicle on the left in both. Depth of low confidence is dim, sky slate blue; pixels without a value, and
    dead cameras, are striped grey.

    Args:
        title: at the left of the header, for example the scene and frame.
        status: at the right of the header, for example latencies.
        lidar: an ego-frame sweep; what stands on the road is dotted white in the view from above.
    """
    rows = camera_rows(depth.rig)
    cell_width_px = style.cell_width_px
    cell_height_px = 2 * round(cell_width_px * depth.depth_m.shape[1] / depth.depth_m.shape[2] / 2)
    grid_width_px = max(len(row) for row in rows) * (cell_width_px + _GAP_PX)
    grid_height_px = 2 * len(rows) * (cell_height_px + _GAP_PX)
    bird_px = max(480, grid_height_px // 2 * 2)
    picture = canvas(_HEADER_PX + bird_px + _FOOTER_PX, grid_width_px + bird_px)
    for r, row in enumerate(rows):
        for c, camera_index in enumerate(row):
            image, depth_picture = draw_camera(depth, camera_index, style)
            left_px = c * (cell_width_px + _GAP_PX)
            top_px = _HEADER_PX + 2 * r * (cell_height_px + _GAP_PX)
            paste(picture, fit(image, cell_height_px, cell_width_px), left_px, top_px)
            below_px = top_px + cell_height_px + _GAP_PX // 2
            paste(picture, fit(depth_picture, cell_height_px, cell_width_px), left_px, below_px)
            draw_label(picture, depth.rig.cameras[camera_index].name, left_px, top_px)
    view = BirdView(size_px=bird_px, range_m=style.bird_range_m)
    paste(picture, draw_bird_view(cloud, view, lidar), grid_width_px, _HEADER_PX)
    note = f"{len(cloud):,} points from above, colour = height" + (
        "; white = LiDAR above the road" if lidar is not None else ""
    )
    draw_label(picture, note, grid_width_px, _HEADER_PX, MUTED_RGB)
    _draw_header(picture, title, status)
    footer = picture[-_FOOTER_PX:]
    draw_legend(footer, style.scale)
    if footer.shape[1] >= _DEPTH_LEGEND_PX + _HEIGHT_LEGEND_PX:
        draw_height_legend(footer[:, -_HEIGHT_LEGEND_PX:], view)
    return picture


def camera_rows(rig: Rig) -> tuple[tuple[int, ...], ...]:
    """Return camera indices row by row: the front half from left to right, then the rear half from left to right.

    Up to three cameras share one row. Going round the ring, the rear half runs from right to left: it is turned.
    """
    ring = rig.ring_order()
    if len(ring) <= 3:
        return (ring,)
    front = (len(ring) + 1) // 2
    return ring[:front], ring[front:][::-1]


def draw_camera(depth: SurroundDepth, camera_index: int, style: MosaicStyle) -> tuple[Picture, Picture]:
    """Return the image and the depth picture [H, W, 3] of one camera; a dead camera is striped in both."""
    depth_picture = color_depth(
        depth.depth_m[camera_index],
        depth.valid[camera_index],
        depth.sky[camera_index],
        style.scale,
        trusted=depth.confidence[camera_index] >= style.min_confidence,
    )
    if depth.camera_valid[camera_index]:
        return depth.images[camera_index], depth_picture
    height_px, width_px = depth.depth_m.shape[1:]
    missing = hatch(height_px, width_px)
    text = "no image"
    draw_text(missing, text, (width_px - text_width_px(text, 20)) // 2, height_px // 2, 20, ACCENT_RGB)
    return missing, depth_picture


def draw_legend(strip: Picture, scale: DepthScale) -> None:
    """Draw into a strip [44, W, 3]: the colour bar in metres, and the signs for sky and "no value"."""
    strip[:] = PANEL_RGB
    bar_left_px, bar_width_px = 130, 460
    draw_text(strip, "depth (along z)", 12, 20, 14)
    strip[_BAR_PX, bar_left_px : bar_left_px + bar_width_px] = turbo(1.0 - np.linspace(0.0, 1.0, bar_width_px))
    for tick_m in (tick for tick in _TICKS_M if scale.near_m <= tick <= scale.far_m):
        position = float(scale.position(np.array(tick_m)))
        _draw_tick(strip, bar_left_px + round(position * (bar_width_px - 1)), f"{tick_m} m")
    left_px = bar_left_px + bar_width_px + 36
    doubtful = np.broadcast_to(dimmed(turbo(np.linspace(0.9, 0.3, 28))), (18, 28, 3))
    for text, swatch in (("doubtful", doubtful), ("sky", canvas(18, 28, SKY_RGB)), ("no value", hatch(18, 28))):
        paste(strip, swatch, left_px, 12)
        draw_text(strip, text, left_px + 36, 27, 14)
        left_px += 60 + text_width_px(text, 14)


def draw_height_legend(strip: Picture, view: BirdView) -> None:
    """Draw into a strip [44, W, 3] which colour stands for which height above the ego origin."""
    strip[:] = PANEL_RGB
    left_px, width_px = 80, 260
    draw_text(strip, "height", 12, 20, 14)
    heights_m = np.linspace(view.min_height_m, view.max_height_m, width_px)
    strip[_BAR_PX, left_px : left_px + width_px] = height_colors(heights_m, view)
    for tick_m in range(math.ceil(view.min_height_m), math.floor(view.max_height_m) + 1):
        position = (tick_m - view.min_height_m) / (view.max_height_m - view.min_height_m)
        _draw_tick(strip, left_px + round(position * (width_px - 1)), f"{tick_m} m")


def _draw_tick(strip: Picture, at_px: int, text: str) -> None:
    strip[_BAR_PX.start : _BAR_PX.stop + 3, at_px] = TEXT_RGB
    draw_text(strip, text, at_px - text_width_px(text, 12) // 2, 37, 12, MUTED_RGB)


def _draw_header(picture: Picture, title: str, status: str) -> None:
    picture[:_HEADER_PX] = PANEL_RGB
    draw_text(picture, title, 12, 27, 17)
    draw_text(picture, status, picture.shape[1] - text_width_px(status, 15) - 12, 26, 15, MUTED_RGB)
