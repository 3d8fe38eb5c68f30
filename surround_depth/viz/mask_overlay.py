"""Own-body masks over images: does the red end where the vehicle ends?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from surround_depth.rig import Rig
from surround_depth.viz.colors import PANEL_RGB, hatch
from surround_depth.viz.drawing import Picture, canvas, draw_label, draw_text, fit, paste
from surround_depth.viz.mosaic import camera_rows

_MASK_RGB = np.array([255, 40, 40], np.uint16)
_GAP_PX = 4
_HEADER_PX = 40


def draw_mask(picture: Picture, own_body: NDArray[np.bool_]) -> Picture:
    """Return the picture [H, W, 3] with the masked pixels half red, so that what lies under them still shows."""
    tinted = picture.copy()
    tinted[own_body] = ((picture[own_body].astype(np.uint16) + _MASK_RGB) // 2).astype(np.uint8)
    return tinted


def draw_mask_mosaic(rig: Rig, pictures: Mapping[str, Picture], title: str, cell_width_px: int = 640) -> Picture:
    """Return the cameras' pictures in ring order, rear row turned; a camera without one is striped grey."""
    rows = camera_rows(rig)
    camera = rig.cameras[0]
    cell_height_px = round(cell_width_px * camera.height_px / camera.width_px)
    n_columns = max(len(row) for row in rows)
    mosaic = canvas(_HEADER_PX + len(rows) * (cell_height_px + _GAP_PX), n_columns * (cell_width_px + _GAP_PX))
    mosaic[:_HEADER_PX] = PANEL_RGB
    draw_text(mosaic, title, 12, 27, 17)
    for r, row in enumerate(rows):
        for c, index in enumerate(row):
            name = rig.names[index]
            left_px, top_px = c * (cell_width_px + _GAP_PX), _HEADER_PX + r * (cell_height_px + _GAP_PX)
            picture = pictures[name] if name in pictures else hatch(cell_height_px, cell_width_px)
            paste(mosaic, fit(picture, cell_height_px, cell_width_px), left_px, top_px)
            draw_label(mosaic, name if name in pictures else f"{name}: no image", left_px, top_px)
    return mosaic
