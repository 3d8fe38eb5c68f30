"""How far a teacher of pairs agrees with itself: the depths of both views, compared where they show one point (D13)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HIDDEN_PX = 1.0  # something so much nearer in the other view hides the point there


def disparity_trust(left_px: NDArray[np.float32], right_px: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return the trust in the disparity [H, W] of the left picture of a pair, 0 to 1; 0 where the right one is blind.

    Both cameras look the same way, so a point has one depth in both; and depths are to each other as disparities are,
    inverted.

    Args:
        left_px, right_px: of the left and the right picture, [H, W], as positive numbers.
    """
    seen_px = at_other_view(right_px, left_px)
    with np.errstate(invalid="ignore", divide="ignore"):
        visible = seen_px - left_px <= _HIDDEN_PX  # False where the point lies beyond the right picture
        return pair_trust(1.0 / left_px, 1.0 / seen_px, visible)


def at_other_view(other: NDArray[np.float32], disparity_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a map [H, W] of the right picture where each pixel of the left one lies there, NaN beyond its border.

    Between columns it is mixed.
    """
    height, width = other.shape
    columns = np.arange(width) - disparity_px
    inside = (columns >= 0) & (columns <= width - 1)  # False on NaN
    columns = np.where(inside, columns, 0.0)
    left = np.minimum(columns.astype(int), max(width - 2, 0))
    share = columns - left
    rows = np.arange(height)[:, None]
    mixed = (1.0 - share) * other[rows, left] + share * other[rows, np.minimum(left + 1, width - 1)]
    return np.where(inside, mixed, np.nan).astype(np.float32)


def pair_trust(
    depth_m: NDArray[np.floating],
    other_view_m: NDArray[np.floating],
    visible: NDArray[np.bool_],
    scale: float = 0.1,
) -> NDArray[np.float16]:
    """Return `t = exp(-|ln d - ln d'| / scale)`, in [0, 1]. D13.

    Args:
        depth_m: z-depth, or anything in proportion to it.
        other_view_m: that of the other view, as z-depth of this camera at this camera's pixels.
        visible: False where the other view does not see the point: t = 0. So it is where either depth is NaN, infinite
            or not positive.
        scale: the log depth difference at which trust falls to 1/e.

    Source: ours [O], in the spirit of arXiv 2309.14744 (its equations are not available to us).
    """
    usable = visible & np.isfinite(depth_m) & np.isfinite(other_view_m)
    with np.errstate(invalid="ignore"):
        usable = usable & (depth_m > 0) & (other_view_m > 0)
    gap = np.abs(np.log(np.where(usable, depth_m, 1.0)) - np.log(np.where(usable, other_view_m, 1.0)))
    return np.where(usable, np.exp(-gap / scale), 0.0).astype(np.float16)
