"""Temporal flicker: how much a prediction changes between two moments where the world did not.

A static point is seen twice, with an exact depth each time. The relative error may be large, but it should be the same:
the change of its logarithm is the prediction's own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surround_depth.geometry import Array
from surround_depth.jit import cached_njit
from surround_depth.metrics.measure import Measure
from surround_depth.metrics.reprojection import reproject
from surround_depth.rig import Camera

NAMES = ("flicker_median", "flicker_mean", "flicker_p90", "flicker_bias")
SAME_DEPTH = 0.05
"""Relative: truth of the later moment this close to a static point's expected depth confirms that it stands still."""
NEARER = 1.1
"""Truth of the later moment nearer than the expected depth by this factor hides a point."""
ONE_SURFACE = 1.25
"""Predictions are interpolated in inverse depth between pixels whose depths differ by less: a road is read exactly down
to four rows below its horizon, and a real edge is not smeared."""


class StaticPoints(NamedTuple):
    """Points that one camera sees at two moments and that did not move between them."""

    uv_first_px: Array  # [P, 2]
    depth_first_m: Array  # [P] true z
    uv_second_px: Array  # [P, 2]
    depth_second_m: Array  # [P] true z, by the ego motion


def static_points(
    uv_px: NDArray[np.integer] | NDArray[np.floating],
    depth_m: NDArray[np.floating],
    truth_second_m: NDArray[np.floating],
    camera: Camera,
    T_second_first: Array,
    window_px: int,
) -> StaticPoints:
    """Return which true points of the first moment the camera sees at the second, standing where they stood.

    A point survives where the second moment's truth confirms its expected depth within `SAME_DEPTH` in some pixel at
    most `window_px` from where it should appear, and shows nothing nearer there: what moved away, came in between or
    left the image is dropped. A point without truth around it is dropped too.

    Args:
        uv_px: pixels (u, v) [P, 2] of the truth of the first moment.
        depth_m: true z-depth there [P].
        truth_second_m: true z-depth [H, W] of the second moment, sparse or dense, NaN = none.
        camera: the camera at the size of these maps, the same at both moments.
        T_second_first: [4, 4] from the camera at the first moment to the camera at the second.
        window_px: 0 for dense truth; for LiDAR about the spacing of its points (4 at 900x1600).
    """
    there = reproject(uv_px, depth_m, camera, camera, T_second_first)
    confirmed = _confirmed(np.asarray(truth_second_m, np.float64), there.uv_px, there.depth_m, window_px)
    uv, z = np.asarray(uv_px, np.float64), np.asarray(depth_m, np.float64)
    return StaticPoints(uv[confirmed], z[confirmed], there.uv_px[confirmed], there.depth_m[confirmed])


def flicker(
    points: StaticPoints, predicted_first_m: NDArray[np.floating], predicted_second_m: NDArray[np.floating]
) -> Measure:
    """Return how much ln(predicted / true) changes between two moments, over the points answered at both.

    With c = ln(d2/g2) - ln(d1/g1): flicker_median, flicker_mean and flicker_p90 are of |c| (0.05 is a jump of 5 %);
    flicker_bias is the mean of c, a scale that drifts. A constant relative error has no flicker, and the scene's own
    change of depth cancels. Predictions [H, W] are read at sub-pixel places, linear in inverse depth on one surface,
    else at the nearest pixel; NaN = no answer. No point gives NaN over 0.

    Source: our own; the warping-based measures of video depth (e.g. Wang et al. 2023, NVDS) warp predicted depth by
    optical flow and so count the scene's own motion as flicker.
    """
    first = _read(predicted_first_m, points.uv_first_px)
    second = _read(predicted_second_m, points.uv_second_px)
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.log(second / points.depth_second_m) - np.log(first / points.depth_first_m)
    change = change[np.isfinite(change)]
    if not change.size:
        return Measure.empty(NAMES)
    size = np.abs(change)
    values = float(np.median(size)), float(size.mean()), float(np.percentile(size, 90)), float(change.mean())
    return Measure(dict(zip(NAMES, values, strict=True)), int(change.size))


def _read(depth_m: NDArray[np.floating], uv_px: Array) -> Array:
    return np.asarray(_sample(np.asarray(depth_m, np.float64), np.ascontiguousarray(uv_px)))


@cached_njit(nogil=True, error_model="numpy")
def _confirmed(truth_m: np.ndarray, uv: np.ndarray, expected_m: np.ndarray, window: int) -> np.ndarray:
    height, width = truth_m.shape
    confirmed = np.zeros(len(uv), np.bool_)
    for i in range(len(uv)):
        u, v, z = uv[i, 0], uv[i, 1], expected_m[i]
        if not (u >= -0.5 and v >= -0.5 and u < width - 0.5 and v < height - 0.5):  # also NaN
            continue
        column, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
        agrees = hidden = False
        for y in range(max(row - window, 0), min(row + window, height - 1) + 1):
            for x in range(max(column - window, 0), min(column + window, width - 1) + 1):
                agrees |= abs(truth_m[y, x] - z) <= SAME_DEPTH * z
                hidden |= truth_m[y, x] < z / NEARER
        confirmed[i] = agrees and not hidden
    return confirmed


@cached_njit(nogil=True, error_model="numpy")
def _sample(depth_m: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Return depth at sub-pixel places inside the image, never a depth between two surfaces."""
    height, width = depth_m.shape
    out = np.empty(len(uv))
    for i in range(len(uv)):
        u, v = min(max(uv[i, 0], 0.0), width - 1.0), min(max(uv[i, 1], 0.0), height - 1.0)
        x0, y0 = int(u), int(v)
        x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
        a, b, c, d = depth_m[y0, x0], depth_m[y0, x1], depth_m[y1, x0], depth_m[y1, x1]
        known = not np.isnan(a + b + c + d)
        if known and max(max(a, b), max(c, d)) <= ONE_SURFACE * min(min(a, b), min(c, d)):
            s, t = u - x0, v - y0
            out[i] = 1.0 / ((1 - t) * ((1 - s) / a + s / b) + t * ((1 - s) / c + s / d))
        else:
            out[i] = depth_m[int(np.floor(v + 0.5)), int(np.floor(u + 0.5))]
    return out
