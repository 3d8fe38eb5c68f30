"""One scored moment as a picture: image, answer, truth and error, a column per camera, each in its recorded frame.

Unlike `pictures`, which shows what a network saw, this takes any method's grids and the very truth it was scored
against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from surround_depth.evaluation.moment import Moment
from surround_depth.evaluation.pictures import color_error
from surround_depth.imaging import decode_image
from surround_depth.rig import Camera
from surround_depth.viz.colors import DepthScale, color_depth
from surround_depth.viz.drawing import Picture, canvas, draw_label, fit, paste
from surround_depth.window import ImageWindow

_GAP_PX = 4
_DOT_PX = 1  # sparse truth is drawn as dots of 2 x 1 + 1 pixels
_MIN_DENSE_SHARE = 0.5  # of the drawn pixels; six LiDARs reach a fifth


def draw_moment(moment: Moment, notes: Mapping[str, str], *, cell_width_px: int = 300) -> Picture:
    """Return the picture [H, W, 3] of a moment, cameras in ring order; those without an image are left out.

    Args:
        notes: camera -> words behind its name, for example its error.
    """
    frame = moment.sample.frame
    cameras = [i for i in frame.rig.ring_order() if frame.camera_valid[i]]
    heights = [_cell_height_px(frame.rig.cameras[i], cell_width_px) for i in cameras]
    row_px, column_px = max(heights) + _GAP_PX, cell_width_px + _GAP_PX
    picture = canvas(4 * row_px - _GAP_PX, len(cameras) * column_px - _GAP_PX)
    for column, (i, height_px) in enumerate(zip(cameras, heights, strict=True)):
        name = frame.rig.cameras[i].name
        titles = (f"{name}  {notes.get(name, '')}".strip(), "answer", "truth", "error: red too far, blue too near")
        cells = _camera_cells(moment, i, height_px, cell_width_px)
        for row, (title, cell) in enumerate(zip(titles, cells, strict=True)):
            paste(picture, cell, column * column_px, row * row_px)
            draw_label(picture, title, column * column_px, row * row_px)
    return picture


def _camera_cells(moment: Moment, i: int, height_px: int, width_px: int) -> Sequence[Picture]:
    camera, truth = moment.sample.frame.rig.cameras[i], moment.truths[i]
    window = moment.prediction.windows[i]
    image = moment.sample.frame.images[i]
    assert image is not None  # a valid camera has one
    uv_px = window.to_image(truth.uv_px) if truth.on_grid else truth.uv_px
    known_m, answer_m = _scattered(camera, uv_px, (truth.depth_m, moment.answers_m[i]), height_px, width_px)
    seen_m = _over_image(moment.prediction.depth_m[i], window, height_px, width_px)
    scale, no_sky = DepthScale(), np.zeros((height_px, width_px), np.bool_)
    return (
        fit(decode_image(image, camera, height_px, width_px), height_px, width_px),
        color_depth(seen_m, np.isfinite(seen_m), no_sky, scale),
        color_depth(known_m, np.isfinite(known_m), no_sky, scale),
        color_error(answer_m, known_m),
    )


def _cell_height_px(camera: Camera, cell_width_px: int) -> int:
    return max(1, round(cell_width_px * camera.height_px / camera.width_px))


def _over_image(
    depth_m: NDArray[np.float32], window: ImageWindow, height_px: int, width_px: int
) -> NDArray[np.float32]:
    """Return what a grid answers over its whole recorded image, drawn [height, width]; NaN outside its window."""
    v = (np.arange(height_px) + 0.5) * window.image_height_px / height_px - 0.5
    u = (np.arange(width_px) + 0.5) * window.image_width_px / width_px - 0.5
    columns = np.rint(window.to_grid(np.stack([u, np.zeros_like(u)], axis=-1))[:, 0]).astype(int)
    rows = np.rint(window.to_grid(np.stack([np.zeros_like(v), v], axis=-1))[:, 1]).astype(int)
    inside_rows = (rows >= 0) & (rows < window.grid_height_px)
    inside_columns = (columns >= 0) & (columns < window.grid_width_px)
    drawn = np.full((height_px, width_px), np.nan, np.float32)
    drawn[np.ix_(inside_rows, inside_columns)] = depth_m[np.ix_(rows[inside_rows], columns[inside_columns])]
    return drawn


def _scattered(
    camera: Camera,
    uv_px: NDArray[np.float64],
    values: Sequence[NDArray[np.float32]],
    height_px: int,
    width_px: int,
) -> list[NDArray[np.float32]]:
    """Return each of `values` [P] drawn [height, width] at its place, the nearest on top; dots where they are sparse.

    The first of `values` is the depth that decides what is nearest.
    """
    scale = np.array([width_px / camera.width_px, height_px / camera.height_px])
    column, row = np.rint((uv_px + 0.5) * scale - 0.5).astype(int).T
    nearest_last = np.argsort(-values[0], kind="stable")
    dot_px = _DOT_PX if len(uv_px) < _MIN_DENSE_SHARE * height_px * width_px else 0
    around = [(y, x) for y in range(-dot_px, dot_px + 1) for x in range(-dot_px, dot_px + 1)]
    rows = (row[nearest_last][:, None] + np.array([y for y, _ in around])).ravel().clip(0, height_px - 1)
    columns = (column[nearest_last][:, None] + np.array([x for _, x in around])).ravel().clip(0, width_px - 1)
    drawn = []
    for value in values:
        picture = np.full((height_px, width_px), np.nan, np.float32)
        picture[rows, columns] = np.repeat(value[nearest_last], len(around))
        drawn.append(picture)
    return drawn
