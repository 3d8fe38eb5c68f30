"""Whether depth jumps where the world does: boundary distances and errors near boundaries, on dense truth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.jit import cached_njit
from surround_depth.metrics.measure import Measure

JUMP_RATIO = 1.15
"""The farther side of an edge is at least this many times as far as the nearer one."""
BASELINE_PX = 4
"""Over how many pixels a jump may be spread and still be an edge: what an up-sampled prediction needs."""
REACH_PX = 10.0
"""Distances between edges end here (iBims-1): farther apart they belong to different things."""
NEAR_PX = 3.0
"""Pixels this close to a true edge count as "near edges"."""
NAMES = ("edge_accuracy_px", "edge_completeness_px", "abs_rel_near_edges", "abs_rel_elsewhere")


def edge_measure(
    depth_m: NDArray[np.floating],
    truth_m: NDArray[np.floating],
    farthest_m: float,
    mask: NDArray[np.bool_] | None = None,
) -> Measure:
    """Return how well the depth edges of `depth_m` [H, W] lie on those of the dense `truth_m` [H, W].

    edge_accuracy_px: mean distance from a predicted edge pixel to the nearest true one, over those within `REACH_PX`;
    edge_completeness_px: mean distance from a true edge pixel to the nearest predicted one, at most `REACH_PX`.
    abs_rel_near_edges and abs_rel_elsewhere: mean |d - g| / g within `NEAR_PX` of a true edge, and not. n_pixels counts
    true edge pixels; without any the distances and the error near edges are NaN. Without a predicted edge in reach
    both distances are `REACH_PX`: silence is not accuracy.

    Args:
        depth_m: z-depth; NaN = no answer, has no edges.
        truth_m: z-depth; NaN = unknown: no edges, and no predicted edge counts there. Sky is infinite, or any depth
            from `farthest_m` on.
        farthest_m: both depths are cut off here, so that far structure and sky do not matter (e.g. 80).
        mask: False where nothing counts, e.g. on the own vehicle.

    Source: depth boundary errors of Koch et al. 2018 (iBims-1, arXiv 1805.01328), whose Canny edges of normalised
    depth see only far jumps outdoors; `depth_edges` is used for truth and prediction instead, so the numbers are not
    comparable with iBims tables.
    """
    known = ~np.isnan(truth_m)
    if mask is not None:
        known &= mask
    true_edges = depth_edges(truth_m, farthest_m) & known
    edges = depth_edges(depth_m, farthest_m) & known
    from_true_px = _distance_px(true_edges)
    near = from_true_px <= NEAR_PX
    d, g = np.minimum(depth_m, farthest_m), np.minimum(truth_m, farthest_m)
    relative = np.abs(d - g) / g
    scored = known & ~np.isnan(relative)
    n_true = int(true_edges.sum())
    accuracy_px = completeness_px = float("nan")
    if n_true:
        in_reach = edges & (from_true_px < REACH_PX)
        accuracy_px = float(from_true_px[in_reach].mean()) if in_reach.any() else REACH_PX
        completeness_px = float(np.minimum(_distance_px(edges)[true_edges], REACH_PX).mean())
    values = (accuracy_px, completeness_px, _mean(relative[scored & near]), _mean(relative[scored & ~near]))
    return Measure(dict(zip(NAMES, values, strict=True)), n_true)


def depth_edges(depth_m: NDArray[np.floating], farthest_m: float) -> NDArray[np.bool_]:
    """Return True [H, W] on the nearer side of every depth discontinuity along rows and columns.

    Two pixels `BASELINE_PX` apart stand on both sides of an edge when their depths differ by `JUMP_RATIO` and neither
    side, continued as a plane, explains the other: inverse depth is linear over a plane, so a road that runs to the
    horizon has no edges. The edge is where depth changes most between them. NaN has no edges; beyond `farthest_m`
    everything is as far.
    """
    inverse = (1.0 / np.minimum(np.asarray(depth_m, np.float32), np.float32(farthest_m))).astype(np.float32)
    edges = np.zeros(inverse.shape, np.bool_)
    _mark_edges(inverse, 1.0 / farthest_m, edges)
    _mark_edges(np.ascontiguousarray(inverse.T), 1.0 / farthest_m, edges.T)
    return edges


@cached_njit(nogil=True, error_model="numpy")
def _mark_edges(inverse: np.ndarray, least: float, edges: np.ndarray) -> None:
    """Mark the edges along the rows of `inverse` [H, W] (1/m, at least `least`) in `edges`."""
    height, width = inverse.shape
    half = BASELINE_PX // 2
    for v in range(height):
        row = inverse[v]
        run_sign, best, place = 0, np.float32(0.0), -1
        for u in range(half, width - half + 1):
            sign = _jump(row, u, half, least)
            if sign != run_sign:
                if place >= 0:
                    edges[v, place] = True
                run_sign, best, place = sign, np.float32(0.0), -1
            # The steepest step of a run of jumps is its edge; its nearer side is marked.
            step = sign * (row[u] - row[u - 1])
            if step > best:
                best, place = step, u if sign > 0 else u - 1
        if place >= 0:
            edges[v, place] = True


@cached_njit(nogil=True, error_model="numpy")
def _jump(row: np.ndarray, u: int, half: int, least: float) -> int:
    """Return +1 where the gap between u - 1 and u parts two surfaces, the right one nearer, -1 the left one; else 0."""
    left, right = row[u - half], row[u + half - 1]
    if not _differs(left, right):  # also beside NaN
        return 0
    span = 2 * half - 1
    from_left = _continued(row, u - half, -span, least)
    from_right = _continued(row, u + half - 1, span, least)
    if not (_differs(from_left, right) and _differs(from_right, left)):
        return 0
    return 1 if right > left else -1


@cached_njit(nogil=True, error_model="numpy")
def _continued(row: np.ndarray, u: int, away: int, least: float) -> float:
    """Return the inverse depth at u - away of the plane through u and u + away; row[u] where that one is unknown."""
    place = u + away
    if place < 0 or place >= len(row) or np.isnan(row[place]):
        return float(row[u])
    return float(max(2.0 * row[u] - row[place], least))


@cached_njit(nogil=True)
def _differs(a: float, b: float) -> bool:
    return bool(a > JUMP_RATIO * b or b > JUMP_RATIO * a)


def _distance_px(edges: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the Euclidean distance [H, W] to the nearest edge pixel; infinite where there is none."""
    if not edges.any():
        return np.full(edges.shape, np.inf, np.float32)
    away = np.where(edges, 0, 255).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")
