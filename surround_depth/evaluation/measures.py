"""What is measured beside depth errors, on one moment, camera by camera or on the whole rig.

Groups: "band 0-10 m" ..., "edges" (dense truth), "confidence", "sparsification", "reliability 0.9-1.0" ...,
"cloud". What needs several moments is in `evaluation.across`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.ground_truth import CameraTruth, GroundTruth
from surround_depth.data.sample import DenseTruth
from surround_depth.evaluation.moment import Moment
from surround_depth.geometry import Array, transform, unit_rays
from surround_depth.metrics.bands import band_errors
from surround_depth.metrics.cloud import SensorView, cloud_measure
from surround_depth.metrics.edges import edge_measure
from surround_depth.metrics.measure import Measure
from surround_depth.metrics.records import RIG, Record
from surround_depth.metrics.resample import answers_at
from surround_depth.metrics.scoreboard import ScoredRange
from surround_depth.metrics.uncertainty import reliability, sparsification, sparsification_curves
from surround_depth.rig import Camera

CLOUD_RANGE_M = 60.0
CLOUD_VOXEL_M = 0.2
LIDAR_VIEW = SensorView(np.array([0.94, 0.0, 1.84]), 0.7)
"""LIDAR_TOP of nuScenes and of the synthetic rig in the ego frame, and half the gap between two of its 32 beams."""
_CURVE_STEPS = range(0, 50, 5)  # of the 50 that the areas are taken over


def measure_moment(moment: Moment, truth: GroundTruth, *, cloud: bool = True) -> Iterator[Record]:
    """Yield everything that one moment gives.

    Args:
        truth: what made the moment's truths; makes those of overlaps.
        cloud: compare clouds too, which takes longer than all the rest.
    """
    limits = truth.rule.scored_range
    yield from _bands(moment, limits)
    yield from _confidence(moment, limits)
    if truth.kind == "dense":
        yield from _edges(moment, limits)
    if cloud and (truth.kind == "dense" or truth.dataset != "ddad"):  # where DDAD's four LiDARs stand is not published
        yield moment.record(RIG, "cloud", _cloud(moment, None if truth.kind == "dense" else LIDAR_VIEW))


def scored(values_m: NDArray[np.float32], limits: ScoredRange) -> NDArray[np.float32]:
    """Return predictions clamped to the scored range, as every protocol does; NaN stays."""
    return values_m.clip(np.float32(limits.min_depth_m), np.float32(limits.max_depth_m))


def within(truth_m: NDArray[np.float32], limits: ScoredRange) -> NDArray[np.bool_]:
    """Return which truth lies in the scored range."""
    return (truth_m > limits.min_depth_m) & (truth_m < limits.max_depth_m)


def _bands(moment: Moment, limits: ScoredRange) -> Iterator[Record]:
    for camera, truth, answer_m in _per_camera(moment, moment.truths, moment.answers_m):
        measures = band_errors(scored(answer_m, limits), truth.depth_m, within(truth.depth_m, limits))
        yield from (moment.record(camera, group, measure) for group, measure in measures.items())


def _per_camera(
    moment: Moment, truths: Sequence[CameraTruth], answers_m: Sequence[NDArray[np.float32]]
) -> Iterator[tuple[str, CameraTruth, NDArray[np.float32]]]:
    return zip(moment.sample.frame.rig.names, truths, answers_m, strict=True)


def _confidence(moment: Moment, limits: ScoredRange) -> Iterator[Record]:
    """Pool the rig's pixels: how sure one camera is against another counts too."""
    if moment.prediction.confidence is None:
        return
    truth_m = np.concatenate([truth.depth_m for truth in moment.truths])
    answer_m = np.concatenate([scored(answer_m, limits) for answer_m in moment.answers_m])
    sure = np.concatenate(moment.read(moment.prediction.confidence, moment.truths))
    counted = within(truth_m, limits)
    truth_m, answer_m, sure = truth_m[counted], answer_m[counted], sure[counted]
    counts = reliability(sure, answer_m, truth_m)
    areas = sparsification(sure, answer_m, truth_m)
    yield moment.record(RIG, "confidence", Measure({**areas.values, **counts.measure().values}, areas.n_pixels))
    found = sparsification_curves(sure, answer_m, truth_m)
    if found is not None:
        curve = found[0]["abs_rel"]
        values = {}
        for step in _CURVE_STEPS:
            values[f"by_confidence_{curve.removed[step]:.1f}"] = float(curve.by_confidence[step])
            values[f"by_error_{curve.removed[step]:.1f}"] = float(curve.by_error[step])
        yield moment.record(RIG, "sparsification", Measure(values, found[1]))
    for i, (confidence, hits) in enumerate(zip(*counts.curve, strict=True)):
        values = {"confidence": float(confidence), "hit_rate": float(hits)}
        group = f"reliability {i / len(counts.n_pixels):.1f}-{(i + 1) / len(counts.n_pixels):.1f}"
        yield moment.record(RIG, group, Measure(values, int(counts.n_pixels[i])))


def _edges(moment: Moment, limits: ScoredRange) -> Iterator[Record]:
    """Compare edges at recorded resolution: what a user of the up-sampled depth sees."""
    dense = moment.sample.truth
    assert dense is not None  # the kind of truth says so
    for i, camera in enumerate(moment.sample.frame.rig.cameras):
        if not moment.sample.frame.camera_valid[i]:
            continue
        u, v = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
        every_px = np.stack([u.ravel(), v.ravel()], axis=-1).astype(np.float64)
        answer_m = answers_at(moment.prediction.depth_m[i], moment.prediction.windows[i], every_px, "linear")
        mask = None if camera.own_body is None else ~camera.own_body
        answer_m = scored(answer_m, limits).reshape(camera.height_px, camera.width_px)
        measure = edge_measure(answer_m, _with_sky(dense, i), limits.max_depth_m, mask)
        yield moment.record(camera.name, "edges", measure)


def _with_sky(dense: DenseTruth, i: int) -> NDArray[np.float32]:
    return np.where(dense.sky[i], np.float32(np.inf), dense.depth_m[i])


def _cloud(moment: Moment, view: SensorView | None) -> Measure:
    """Compare the points of all grids with the true points that the cameras see, in the ego frame of the sweep."""
    rig, predicted_m, true_m = moment.sample.frame.rig, [], []
    for i, (camera, grid_camera) in enumerate(zip(rig.cameras, moment.grid_rig.cameras, strict=True)):
        T = moment.T_ego_cam_then[i]
        depth_m = moment.prediction.depth_m[i]
        own_body = grid_camera.own_body
        answered = np.isfinite(depth_m) if own_body is None else np.isfinite(depth_m) & ~own_body
        row, column = np.nonzero(answered)
        uv_px = np.stack([column, row], axis=-1)
        predicted_m.append(_lifted(uv_px, depth_m[row, column], grid_camera, T))
        truth = moment.truths[i]
        seen_by = grid_camera if truth.on_grid else camera
        true_m.append(_lifted(truth.uv_px, truth.depth_m, seen_by, T))
    return cloud_measure(_thinned(np.concatenate(predicted_m)), _thinned(np.concatenate(true_m)), view)


def _lifted(uv_px: NDArray[np.generic], depth_m: NDArray[np.float32], camera: Camera, T: Array) -> Array:
    """Return the points [P, 3] of z-depths [P] at pixels [P, 2] of a camera, moved by T [4, 4]."""
    rays = unit_rays(np.asarray(uv_px, np.float64), camera.K, camera.lens)
    return transform(T, rays * (depth_m / rays[:, 2])[:, None])


def _thinned(points_m: Array) -> Array:
    """Return one point per voxel within reach of the vehicle: densities of grids and beams must not weigh."""
    near = points_m[np.linalg.norm(points_m, axis=1) < CLOUD_RANGE_M]  # False on NaN
    cell = np.floor(near / CLOUD_VOXEL_M).astype(np.int64) + (1 << 20)
    _, first = np.unique((cell[:, 0] << 42) | (cell[:, 1] << 21) | cell[:, 2], return_index=True)
    return near[first]
