"""How well predicted points lie on the world's surfaces, and how much of them they cover. The one user of scipy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import MissingDependencyError
from surround_depth.geometry import Array
from surround_depth.metrics.measure import Measure

THRESHOLDS_M = (0.2, 0.5, 1.0)


class SensorView(NamedTuple):
    """From where a LiDAR saw its points, and how far apart its beams are: what it cannot judge is left out."""

    origin_m: Array  # [3] in the frame of the points
    beam_gap_deg: float  # a predicted point farther than this from every beam has no witness


def cloud_measure(
    points_m: NDArray[np.floating],
    truth_m: NDArray[np.floating],
    view: SensorView | None = None,
    thresholds_m: Sequence[float] = THRESHOLDS_M,
) -> Measure:
    """Return distances between predicted points [P, 3] and true points [Q, 3] in one frame, metres; n_pixels = Q.

    accuracy_{mean,median}_m: from each predicted point to the nearest true one; completeness_{mean,median}_m: from each
    true point to the nearest predicted one; chamfer_m: half the sum of the two means; per threshold t precision_t,
    recall_t (shares below t) and f_score_t, their harmonic mean (Knapitsch et al. 2017, Tanks and Temples). Rows that
    are not finite do not count. Without a true point everything is NaN; without a predicted one recall and F-score
    are 0 and the distances NaN.

    A LiDAR is a one-sided witness: it has a point on one ray in a hundred, and none on glass, in gaps between its
    beams, or beyond its reach. Two rules keep the comparison honest, and the caller owes a third:

    - completeness asks only about places where the LiDAR has points: hand in those that a camera sees (in an image,
      occlusion-tested, outside the own body), or the prediction is blamed for the LiDAR's better view;
    - accuracy drops predicted points by the DIRECTION in which the LiDAR would see them (`view`), never by their
      distance to a true point: a point floating before a wall is still measured, one between two beams or in the sky
      is not. What remains of the spacing is a floor: about range times `beam_gap_deg`, 0.5 m at 40 m for 0.7 degrees;
    - densities bias means: hand in clouds thinned to one voxel size, and cut to one range.

    Against dense truth `view` is None and both directions are whole.

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    points, truth = _finite(points_m), _finite(truth_m)
    names = _names(thresholds_m)
    if not len(truth):
        return Measure.empty(names)
    if view is not None and len(points):
        points = points[_witnessed(points, truth, view)]
    if not len(points):
        none = dict.fromkeys(names, float("nan"))
        return Measure(none | {n: 0.0 for n in names if n.startswith(("recall", "f_score"))}, len(truth))
    accuracy_m, completeness_m = _nearest_m(points, truth), _nearest_m(truth, points)
    values = {
        "accuracy_mean_m": float(accuracy_m.mean()),
        "accuracy_median_m": float(np.median(accuracy_m)),
        "completeness_mean_m": float(completeness_m.mean()),
        "completeness_median_m": float(np.median(completeness_m)),
        "chamfer_m": 0.5 * float(accuracy_m.mean() + completeness_m.mean()),
    }
    for t in thresholds_m:
        precision, recall = float((accuracy_m < t).mean()), float((completeness_m < t).mean())
        f_score = 2.0 * precision * recall / (precision + recall) if precision + recall > 0.0 else 0.0
        values |= {f"precision_{t:g}m": precision, f"recall_{t:g}m": recall, f"f_score_{t:g}m": f_score}
    return Measure(values, len(truth))


def _names(thresholds_m: Sequence[float]) -> list[str]:
    distances = [f"{side}_{mean}_m" for side in ("accuracy", "completeness") for mean in ("mean", "median")]
    return [*distances, "chamfer_m", *(f"{n}_{t:g}m" for t in thresholds_m for n in ("precision", "recall", "f_score"))]


def _finite(points_m: NDArray[np.floating]) -> Array:
    points = np.asarray(points_m, np.float64)
    return points[np.isfinite(points).all(axis=1)]


def _witnessed(points_m: Array, truth_m: Array, view: SensorView) -> NDArray[np.bool_]:
    """Return which points [P] lie within the beam gap of a beam that returned."""
    # Unit directions an angle a apart lie 2 sin(a / 2) apart.
    chord = 2.0 * np.sin(np.radians(view.beam_gap_deg) / 2.0)
    beams, wanted = _directions(truth_m, view.origin_m), _directions(points_m, view.origin_m)
    return np.asarray(_nearest_m(wanted, beams, reach=chord) <= chord)


def _directions(points_m: Array, origin_m: Array) -> Array:
    offset = points_m - origin_m
    return offset / np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-9)


def _nearest_m(points: Array, others: Array, reach: float = np.inf) -> Array:
    """Return the distance [P] from each point to the nearest other; infinite beyond `reach`."""
    try:
        from scipy.spatial import cKDTree
    except ImportError as error:
        raise MissingDependencyError(
            "cloud metrics need scipy; install it with pip install 'surround_depth[evaluation]'"
        ) from error
    # The bound is exclusive, hence the next float up.
    tree = cKDTree(others)
    distance, _ = tree.query(points, distance_upper_bound=np.nextafter(reach, np.inf))
    return np.asarray(distance)
