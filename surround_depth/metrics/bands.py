"""Depth errors by distance: a mean over all pixels is a mean over the near road."""

from __future__ import annotations

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

    The truth chooses the band, so a method cannot move its errors to another one. Any equal shapes; a pixel with a NaN
    in either counts nowhere; a band without pixels gives NaN over 0 pixels. The ranges of a protocol (caps, clamps)
    are the caller's.
    """
    counted = np.isfinite(depth_m) & np.isfinite(truth_m)
    if mask is not None:
        counted &= mask
    d, g = depth_m[counted], truth_m[counted]
    band = np.digitize(g, edges_m)
    return {
        f"band {near:g}-{far:g} m": Measure.of_errors(depth_errors(d[band == i], g[band == i]))
        for i, (near, far) in enumerate(pairwise(edges_m), start=1)
    }
