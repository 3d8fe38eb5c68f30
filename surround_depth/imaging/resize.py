"""The resize kernel that is part of every engine's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def resize_image(image: NDArray[np.uint8], height_px: int, width_px: int) -> NDArray[np.uint8]:
    """Return RGB [height_px, width_px, 3] of `image` [h, w, 3]; corners of the images coincide."""
    if image.shape[:2] == (height_px, width_px):
        return image
    shrinks = image.shape[0] >= height_px and image.shape[1] >= width_px
    # AREA averages every source pixel; bilinear would alias fine texture when shrinking.
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width_px, height_px), interpolation=kernel), dtype=np.uint8)
