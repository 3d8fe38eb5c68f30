"""VFDepth's own-body masks at network size: resized by Pillow's LANCZOS, and every value above zero keeps its pixel.

Pillow is not a dependency, and OpenCV's Lanczos does not average when it shrinks; so the filter is written out here,
with Pillow's fixed-point rounding. Which pixels are kept decides a published number, so the rounding matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SUPPORT = 3.0
_PRECISION_BITS = 22  # of Pillow's 8-bit path: 32 - 8 - 2


def kept_after_lanczos(own_body: NDArray[np.bool_], height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Return where a mask [H, W] (True = own vehicle) keeps pixels of [height_px, width_px].

    Source: 42dot/VFDepth (255 = keep, LANCZOS, ToTensor, bool); the filter as in Pillow, the witness in the test.
    """
    keep = np.where(own_body, 0, 255).astype(np.int64)
    across = _filtered(keep, width_px)
    return _filtered(across.T, height_px).T > 0


def _filtered(values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return rows [H, W] resized to [H, size], rounded to 8 bits as Pillow does between its two passes."""
    if values.shape[1] == size:
        return values
    total = values @ _weights(values.shape[1], size).T + (1 << (_PRECISION_BITS - 1))
    return (total >> _PRECISION_BITS).clip(0, 255)


def _weights(n_in: int, n_out: int) -> NDArray[np.int64]:
    """Return the fixed-point Lanczos weights [n_out, n_in]."""
    scale = n_in / n_out
    stretch = max(scale, 1.0)
    support = _SUPPORT * stretch
    weights = np.zeros((n_out, n_in), np.int64)
    for i in range(n_out):
        centre = (i + 0.5) * scale
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), n_in)
        x = (np.arange(first, last) - centre + 0.5) / stretch
        w = np.where(np.abs(x) < _SUPPORT, np.sinc(x) * np.sinc(x / _SUPPORT), 0.0)
        w /= w.sum()
        # Pillow rounds half away from zero.
        weights[i, first:last] = np.trunc(w * (1 << _PRECISION_BITS) + np.copysign(0.5, w)).astype(np.int64)
    return weights
