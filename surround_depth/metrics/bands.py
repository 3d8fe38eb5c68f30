"""Depth errors by distance: a mean over all pixels is a mean over the near road."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from surround_depth.metrics.depth import depth_errors
from surround_depth.metrics.measure import Measure

BAND_EDGES_M = (0.0, 10.0, 20.0, 40.0, 80.0, 200.0)


def band_errors(
    depth_m: NDArray[np.floating],
    truth_m: NDArray[np.floating],
    mask: NDArray[np.bool_] | None = None,
    edges_m: Sequence[float] = BAND_EDGES_M,
) -> Mapping[str, Measure]:
    """Return "band 0-10 m", ... -> errors over the pixels of `mask` whose TRUTH lies in the band, near end included.

    The truth chooses the band, so a method cannot move its errors to another one; "coverage" is the share of a band's
    truth that was answered. Any equal shapes; NaN depth is no answer, NaN truth counts nowhere; a band without answered
    pixels gives NaN errors over 0 pixels. The ranges of a protocol (caps, clamps) are the caller's.
    """
    counted = np.isfinite(truth_m)
    if mask is not None:
        counted &= mask
    d, g = depth_m[counted], truth_m[counted]
    band = np.digitize(g, edges_m)
    return {
        f"band {near:g}-{far:g} m": answered_errors(d[band == i], g[band == i])
        for i, (near, far) in enumerate(pairwise(edges_m), start=1)
    }


def answered_errors(depth_m: NDArray[np.floating], truth_m: NDArray[np.floating]) -> Measure:
    """Return the errors over what was answered of the truth [P], and "coverage", its share; NaN without truth."""
    measure = Measure.of_errors(depth_errors(depth_m, truth_m))
    coverage = measure.n_pixels / len(truth_m) if len(truth_m) else math.nan
    return Measure({**measure.values, "coverage": coverage}, measure.n_pixels)
