"""Taking out the LiDAR points that a camera cannot see.

The LiDAR sits higher than the cameras and looks over a parked car at the wall behind it; projected into the image,
that wall lands on the car. On close traffic one point in ten is wrong so, by up to ten times the depth.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.rig import Rig

_ROWS_RAD = 0.0125
"""Half the gap between two rings of a 32-beam LiDAR (1.33 degrees) and a little: an occluder has a point this near."""
_COLUMNS_RAD = 0.015
_OCCLUDED_RATIO = 1.5
"""Open road changes depth by less than this within the window, down to 2 degrees below the horizon."""


def without_occluded(lidar_m: NDArray[np.float32], rig: Rig) -> NDArray[np.float32]:
    """Return LiDAR depth [N, H, W] without points that lie far behind another point close by in the image.

    Args:
        lidar_m: z-depth, NaN = none.
        rig: the cameras of these images; the window is an angle, so it does not depend on the resolution.

    Source: ours. Hand-worked in tests/training/test_occlusion.py.
    """
    kept = lidar_m.copy()
    for depth_m, camera in zip(kept, rig.cameras, strict=True):
        rows, columns = (max(1, round(angle * camera.focal_px)) for angle in (_ROWS_RAD, _COLUMNS_RAD))
        nearest_m = _window_minimum(np.nan_to_num(depth_m, nan=np.inf), rows, columns)
        with np.errstate(invalid="ignore"):
            depth_m[depth_m > _OCCLUDED_RATIO * nearest_m] = np.nan
    return kept


def _window_minimum(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Return the least value within `rows` up and down and `columns` left and right [H, W]."""
    window = np.ones((2 * rows + 1, 2 * columns + 1), np.uint8)
    # A repeated border lies inside every window that reaches it: it adds nothing.
    return np.asarray(cv2.erode(values, window, borderType=cv2.BORDER_REPLICATE), dtype=np.float32)
