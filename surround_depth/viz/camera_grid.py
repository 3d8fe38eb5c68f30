"""One picture per camera under a title: ring order, rear row turned, a camera without a picture striped grey."""

from __future__ import annotations

from collections.abc import Mapping

from surround_depth.rig import Rig
from surround_depth.viz.colors import PANEL_RGB, hatch
from surround_depth.viz.drawing import Picture, canvas, draw_label, draw_text, fit, paste
from surround_depth.viz.mosaic import camera_rows

_GAP_PX = 4
_HEADER_PX = 40


def draw_camera_grid(
    rig: Rig,
    pictures: Mapping[str, Picture],
    title: str,
    cell_width_px: int,
    *,
    footer_px: int = 0,
    min_width_px: int = 0,
) -> Picture:
    """Return the cameras' pictures [H_i, W_i, 3] by name as one [H, W, 3], cells shaped like the first camera.

    Below them `footer_px` rows stay free, for a legend that needs `min_width_px`.
    """
    rows = camera_rows(rig)
    camera = rig.cameras[0]
    cell_height_px = round(cell_width_px * camera.height_px / camera.width_px)
    width_px = max(len(row) for row in rows) * (cell_width_px + _GAP_PX)
    grid = canvas(_HEADER_PX + len(rows) * (cell_height_px + _GAP_PX) + footer_px, max(width_px, min_width_px))
    grid[:_HEADER_PX] = PANEL_RGB
    draw_text(grid, title, 12, 27, 17)
    for r, row in enumerate(rows):
        for c, index in enumerate(row):
            name = rig.names[index]
            left_px, top_px = c * (cell_width_px + _GAP_PX), _HEADER_PX + r * (cell_height_px + _GAP_PX)
            picture = pictures[name] if name in pictures else hatch(cell_height_px, cell_width_px)
            paste(grid, fit(picture, cell_height_px, cell_width_px), left_px, top_px)
            draw_label(grid, name if name in pictures else f"{name}: no image", left_px, top_px)
    return grid
