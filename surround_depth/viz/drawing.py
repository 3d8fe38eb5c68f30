"""Small drawing helpers on RGB pictures [H, W, 3]; they draw into the picture they are given."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.viz.colors import BACKGROUND_RGB, TEXT_RGB

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT_PX = 30.0  # text height of this font at scale 1


def canvas(height_px: int, width_px: int, color: Color = BACKGROUND_RGB) -> Picture:
    """Return a picture of one colour."""
    return np.full((height_px, width_px, 3), color, np.uint8)


def text_width_px(text: str, height_px: float) -> int:
    """Return how wide `draw_text` draws a text."""
    return int(cv2.getTextSize(text, _FONT, height_px / _FONT_HEIGHT_PX, 1)[0][0])


def draw_text(
    picture: Picture, text: str, left_px: int, baseline_px: int, height_px: float = 15, color: Color = TEXT_RGB
) -> None:
    """Write a text whose baseline starts at (left, baseline)."""
    cv2.putText(picture, text, (left_px, baseline_px), _FONT, height_px / _FONT_HEIGHT_PX, color, 1, cv2.LINE_AA)


def draw_label(picture: Picture, text: str, left_px: int = 0, top_px: int = 0, color: Color = TEXT_RGB) -> None:
    """Write a text on a darkened box, readable on any image."""
    width_px, height_px = text_width_px(text, 14) + 14, 22
    box = picture[top_px : top_px + height_px, left_px : left_px + width_px]
    box[:] = box // 4
    draw_text(picture, text, left_px + 7, top_px + 16, 14, color)


def paste(picture: Picture, part: Picture, left_px: int, top_px: int) -> None:
    """Copy a picture into another; what does not fit is cut off."""
    room = picture[top_px : top_px + part.shape[0], left_px : left_px + part.shape[1]]
    room[:] = part[: room.shape[0], : room.shape[1]]


def fit(picture: Picture, height_px: int, width_px: int) -> Picture:
    """Return the picture as large as fits, aspect kept, centred on the background."""
    scale = min(height_px / picture.shape[0], width_px / picture.shape[1])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    kernel = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(picture, size, interpolation=kernel), dtype=np.uint8)
    framed = canvas(height_px, width_px)
    paste(framed, resized, (width_px - size[0]) // 2, (height_px - size[1]) // 2)
    return framed


def write_picture(path: Path, picture: Picture) -> None:
    """Write an RGB picture as PNG or JPEG, by the file's suffix.

    Raises:
        DataError: the folder is missing or the file cannot be written.
    """
    if not path.parent.is_dir() or not cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1])):
        raise DataError(f"{path}: the picture cannot be written; does the folder exist and is there room?")
