"""The camera of a window: what K and the own-body mask become where a picture is resized and cut."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.geometry import cropped_K, resized_K
from surround_depth.rig import Camera
from surround_depth.window import ImageWindow


def windowed_camera(camera: Camera, window: ImageWindow) -> Camera:
    """Return the camera of the grid that lies over `camera`'s image as `window` says.

    Lens and pose are the same; K and the own-body mask are mapped.
    """
    own_body = None if camera.own_body is None else _cover_mask(camera.own_body, window)
    return replace(
        camera,
        height_px=window.grid_height_px,
        width_px=window.grid_width_px,
        K=cropped_K(resized_K(camera.K, window.scale_x, window.scale_y), window.left_px, window.top_px),
        own_body=own_body,
        own_body_polygons_px=(),
    )


def _cover_mask(mask: NDArray[np.bool_], window: ImageWindow) -> NDArray[np.bool_]:
    """A grid's pixel touches the own body when any pixel under it does."""
    size = window.resized_width_px, window.resized_height_px
    covered = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    rows = slice(window.top_px, window.top_px + window.grid_height_px)
    return np.asarray(covered[rows, window.left_px : window.left_px + window.grid_width_px] > 1e-6)
