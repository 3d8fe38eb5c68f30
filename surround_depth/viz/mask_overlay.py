"""Own-body masks over images: does the red end where the vehicle ends?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from surround_depth.rig import Rig
from surround_depth.viz.camera_grid import draw_camera_grid
from surround_depth.viz.drawing import Picture

_MASK_RGB = np.array([255, 40, 40], np.uint16)


def draw_mask(picture: Picture, own_body: NDArray[np.bool_]) -> Picture:
    """Return the picture [H, W, 3] with the masked pixels half red, so that what lies under them still shows."""
    tinted = picture.copy()
    tinted[own_body] = ((picture[own_body].astype(np.uint16) + _MASK_RGB) // 2).astype(np.uint8)
    return tinted


def draw_mask_mosaic(rig: Rig, pictures: Mapping[str, Picture], title: str, cell_width_px: int = 640) -> Picture:
    """Return the cameras' pictures in ring order, rear row turned; a camera without one is striped grey."""
    return draw_camera_grid(rig, pictures, title, cell_width_px)
