"""The depth errors of the field, in plain numpy.

Which pixels count (caps, masks, scaling) is a protocol's business: the caller passes a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DepthErrors:
    """Errors over one set of pixels; NaN where the set is empty."""

    abs_rel: float
    """mean |d - g| / g."""
    sq_rel: float
    """mean (d - g)^2 / g, metres."""
    rmse: float
    """Metres."""
    rmse_log: float
    """Root mean square of ln d - ln g."""
    a1: float
    """Share of pixels with max(d/g, g/d) < 1.25, strictly."""
    a2: float
    """As a1, below 1.25^2."""
    a3: float
    """As a1, below 1.25^3."""
    silog: float
    """100 sqrt(mean e^2 - (mean e)^2), e = ln d - ln g: blind to one common factor."""
    n_pixels: int

    def as_dict(self) -> dict[str, float]:
        """Return name -> value."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


_NAN = float("nan")
NO_PIXELS = DepthErrors(_NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, n_pixels=0)


def depth_errors(
    depth_m: NDArray[np.floating], truth_m: NDArray[np.floating], mask: NDArray[np.bool_] | None = None
) -> DepthErrors:
    """Return the errors of `depth_m` against `truth_m` over `mask`, any equal shapes, computed in float64.

    Pixels where either depth is NaN never count; both must be positive where they do.

    Source: the definitions common to Eigen et al. (arXiv 1406.2283) and every surround-depth repository; silog as in
    TRI-ML/vidar (the standard deviation of the log error, times 100).
    Hand-worked in tests/metrics/test_depth_errors.py.
    """
    counted = np.isfinite(depth_m) & np.isfinite(truth_m)
    if mask is not None:
        counted &= mask
    d = depth_m[counted].astype(np.float64)
    g = truth_m[counted].astype(np.float64)
    if d.size == 0:
        return NO_PIXELS
    difference_m = d - g
    log_difference = np.log(d) - np.log(g)
    ratio = np.maximum(d / g, g / d)
    return DepthErrors(
        abs_rel=float(np.mean(np.abs(difference_m) / g)),
        sq_rel=float(np.mean(difference_m**2 / g)),
        rmse=float(np.sqrt(np.mean(difference_m**2))),
        rmse_log=float(np.sqrt(np.mean(log_difference**2))),
        a1=float(np.mean(ratio < 1.25)),
        a2=float(np.mean(ratio < 1.25**2)),
        a3=float(np.mean(ratio < 1.25**3)),
        silog=float(100.0 * np.std(log_difference)),
        n_pixels=int(d.size),
    )


def mean_errors(errors: Sequence[DepthErrors]) -> DepthErrors:
    """Return the plain mean over images (each counts once, however many pixels it has); empty images are left out."""
    filled = [e for e in errors if e.n_pixels > 0]
    if not filled:
        return NO_PIXELS
    means = {field.name: float(np.mean([getattr(e, field.name) for e in filled])) for field in fields(DepthErrors)}
    return DepthErrors(**(means | {"n_pixels": sum(e.n_pixels for e in filled)}))  # type: ignore[arg-type]
