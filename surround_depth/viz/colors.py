"""Colours that mean the same in every picture: depth on a fixed logarithmic range, sky, and "no value"."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

BACKGROUND_RGB = (17, 19, 23)
PANEL_RGB = (27, 30, 36)
TEXT_RGB = (232, 235, 240)
MUTED_RGB = (140, 147, 158)
ACCENT_RGB = (255, 196, 61)
SKY_RGB = (46, 54, 82)
# Grey stripes: no depth in the colour map looks like them.
HATCH_DARK_RGB = (44, 44, 46)
HATCH_LIGHT_RGB = (66, 66, 69)
HATCH_PERIOD_PX = 8
_DIM_FACTOR = 0.45


@dataclass(frozen=True)
class DepthScale:
    """Which depths the colours stand for. Fixed, never from the frame: a colour is a distance in every frame.

    Logarithmic, because an error of a tenth matters the same at 5 m and at 50 m.
    """

    near_m: float = 2.0
    far_m: float = 80.0

    def position(self, depth_m: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return where depths lie on the scale: 0 at `near_m` and below, 1 at `far_m` and beyond, NaN stays NaN."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.clip(np.log(depth_m / self.near_m) / np.log(self.far_m / self.near_m), 0.0, 1.0)

    def colors(self, depth_m: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return turbo colours [..., 3] RGB, near red and far blue; NaN counts as far."""
        position = np.nan_to_num(self.position(depth_m), nan=1.0)
        return turbo(1.0 - position)


def turbo(position: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return RGB [..., 3] of positions 0 (blue) to 1 (red) on Google's turbo map, cut where its ends turn black."""
    index = np.rint(20.0 + 220.0 * np.clip(position, 0.0, 1.0)).astype(np.uint8)
    return _TURBO_RGB[index]


def color_depth(
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    sky: NDArray[np.bool_],
    scale: DepthScale,
    trusted: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Return the picture [H, W, 3] of a depth map [H, W].

    Depth in colour, dim where not `trusted` [H, W] (default: all is); sky slate blue; no value in grey stripes.
    """
    height_px, width_px = depth_m.shape
    picture = hatch(height_px, width_px)
    picture[sky] = SKY_RGB
    picture[valid] = scale.colors(depth_m[valid])
    if trusted is not None:
        doubtful = valid & ~trusted
        picture[doubtful] = dimmed(picture[doubtful])
    return picture


def dimmed(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return darkened colours [..., 3]: the sign for "a value, but not to be trusted"."""
    return np.asarray(colors * _DIM_FACTOR, dtype=np.uint8)


def hatch(height_px: int, width_px: int) -> NDArray[np.uint8]:
    """Return grey diagonal stripes [H, W, 3]: the sign for "no value here"."""
    rows, columns = np.indices((height_px, width_px), sparse=True)
    light = (rows + columns) % HATCH_PERIOD_PX < HATCH_PERIOD_PX // 2
    return np.where(light[..., None], HATCH_LIGHT_RGB, HATCH_DARK_RGB).astype(np.uint8)


_TURBO_RGB: NDArray[np.uint8] = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[
    :, 0, ::-1
]
