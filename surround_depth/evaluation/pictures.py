"""Pictures that show where the numbers come from: image, depth, truth and signed error, one column per camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.frame import SurroundDepth
from surround_depth.viz.colors import DepthScale, color_depth, hatch
from surround_depth.viz.drawing import Picture, canvas, draw_label, fit, paste

FULL_COLOUR_ERROR = 0.3
_TOO_FAR_RGB = np.array((200, 30, 40), np.float32)
_TOO_NEAR_RGB = np.array((30, 80, 220), np.float32)
_GAP_PX = 4
_MIN_DENSE_SHARE = 0.2  # truth sparser than this is LiDAR: its single pixels are drawn larger


def color_error(depth_m: NDArray[np.float32], truth_m: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the signed relative error [H, W, 3]: red too far, blue too near, white exact; stripes where unknown.

    The colour is full at `FULL_COLOUR_ERROR`.
    """
    known = np.isfinite(depth_m) & np.isfinite(truth_m)
    error = (depth_m[known] - truth_m[known]) / truth_m[known]
    strength = np.clip(np.abs(error) / FULL_COLOUR_ERROR, 0.0, 1.0)[:, None]
    full = np.where((error > 0)[:, None], _TOO_FAR_RGB, _TOO_NEAR_RGB)
    picture = hatch(*depth_m.shape)
    picture[known] = np.rint(255.0 * (1.0 - strength) + full * strength).astype(np.uint8)
    return picture


def draw_comparison(
    depth: SurroundDepth,
    truth_m: NDArray[np.float32],
    camera_indices: Sequence[int],
    *,
    truth_sky: NDArray[np.bool_] | None = None,
    others: Mapping[str, SurroundDepth] | None = None,
    cell_width_px: int = 448,
) -> Picture:
    """Return rows of image, depth of others, depth, truth and error; one column for each camera index.

    Args:
        truth_m: [N, H, W], NaN = unknown.
        truth_sky: [N, H, W] where the truth is sky, if that is known.
        others: title -> what another student answers for the same frame, for example an untrained one.
    """
    cell_height_px = round(cell_width_px * depth.depth_m.shape[1] / depth.depth_m.shape[2])
    n_rows = 4 + len(others or {})
    picture = canvas(n_rows * (cell_height_px + _GAP_PX), len(camera_indices) * (cell_width_px + _GAP_PX))
    for column, camera_index in enumerate(camera_indices):
        cells = _camera_cells(depth, truth_m, truth_sky, camera_index, others or {})
        for row, (title, cell) in enumerate(cells.items()):
            left_px, top_px = column * (cell_width_px + _GAP_PX), row * (cell_height_px + _GAP_PX)
            paste(picture, fit(cell, cell_height_px, cell_width_px), left_px, top_px)
            draw_label(picture, title, left_px, top_px)
    return picture


def _camera_cells(
    depth: SurroundDepth,
    truth_m: NDArray[np.float32],
    truth_sky: NDArray[np.bool_] | None,
    i: int,
    others: Mapping[str, SurroundDepth],
) -> dict[str, Picture]:
    """Title -> picture of one camera, from top to bottom."""
    scale = DepthScale()
    known_m = _enlarged(truth_m[i])
    sky = np.zeros(known_m.shape, np.bool_) if truth_sky is None else truth_sky[i]
    cells = {depth.rig.cameras[i].name: depth.images[i]}
    for title, answer in {**others, "student": depth}.items():
        cells[title] = color_depth(answer.depth_m[i], answer.valid[i], answer.sky[i], scale)
    cells["truth"] = color_depth(known_m, np.isfinite(known_m), sky, scale)
    cells["error: red too far, blue too near"] = color_error(depth.depth_m[i], known_m)
    return cells


def _enlarged(truth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draw sparse truth as 3 x 3 pixel dots, the nearer one on top; dense truth stays as it is."""
    if np.isfinite(truth_m).mean() > _MIN_DENSE_SHARE:
        return truth_m
    filled = np.where(np.isfinite(truth_m), truth_m, np.float32(np.inf))
    nearest = cv2.erode(filled, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=np.inf)
    return np.where(np.isfinite(nearest), nearest, np.float32(np.nan)).astype(np.float32)
