"""What is measured across cameras' or moments' answers: overlaps, consistency within a rig, flicker in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from surround_depth.data.ground_truth import GroundTruth
from surround_depth.evaluation.measures import scored
from surround_depth.evaluation.moment import Moment
from surround_depth.geometry import invert_rigid
from surround_depth.metrics.compare import Pairs, score_unit_batch
from surround_depth.metrics.consistency import (
    DistancePairs,
    consistency,
    consistency_pairs,
    vehicle_distances,
    visible_pairs,
)
from surround_depth.metrics.flicker import flicker, static_points
from surround_depth.metrics.measure import Measure
from surround_depth.metrics.records import Record

MAX_GAP_S = 1.1
"""Key frames of nuScenes are half a second apart, rendered training samples a second."""
_LIDAR_SPACING = 4 / 1600  # of the width of a picture: where the next return of a point may lie
# With dense truth the window is one pixel: a wider one confirms a pixel beside an edge by the wrong side.


def measure_batch(moments: Sequence[Moment], truth: GroundTruth) -> Iterator[Record]:
    """Yield what is pooled over a batch's moments, camera by camera: overlaps and consistency."""
    if len(moments[0].sample.frame.rig) > 1:
        yield from _overlaps(moments, truth)
        if all(moment.has_one_size for moment in moments):
            yield from _consistency(moments, truth)


def _overlaps(moments: Sequence[Moment], truth: GroundTruth) -> Iterator[Record]:
    """Yield "overlap" and "overlap median": the protocol's errors over truth that a ring neighbour sees too."""
    pairs = []
    for moment in moments:
        overlaps = truth.overlaps(moment.sample, moment.prediction.windows)
        if overlaps is None:
            return
        answers_m = moment.read(moment.prediction.depth_m, overlaps)
        pairs.append([Pairs(seen.depth_m, answer_m) for seen, answer_m in zip(overlaps, answers_m, strict=True)])
    names = {"metric": "overlap", "median": "overlap median"}
    for score in score_unit_batch(moments[0].sample.frame.rig.names, pairs, truth.protocol, truth.rule.scored_range):
        if score.group in names:
            yield moments[0].record(score.camera, names[score.group], score.measure())


def _consistency(moments: Sequence[Moment], truth: GroundTruth) -> Iterator[Record]:
    """Yield "consistency" (as published) and "consistency+" (ours), at the size of the grids."""
    said: dict[str, list[tuple[DistancePairs, ...]]] = {"consistency": [], "consistency+": []}
    for moment in moments:
        distances_m = vehicle_distances(
            moment.grid_rig, scored(np.stack(moment.prediction.depth_m), truth.rule.scored_range)
        )
        true_m = np.stack(truth.on_grids(moment.sample, moment.prediction.windows))
        said["consistency"].append(consistency_pairs(moment.grid_rig, distances_m, true_m))
        said["consistency+"].append(visible_pairs(moment.grid_rig, distances_m, true_m))
    for group, pairs in said.items():
        for i, camera in enumerate(moments[0].grid_rig.names):
            yield moments[0].record(camera, group, consistency([of_cameras[i] for of_cameras in pairs]))


def measure_pair(first: Moment, second: Moment, truth: GroundTruth) -> Iterator[Record]:
    """Yield "flicker" of each camera between two moments of a drive.

    Nothing where poses are unknown, rigs differ, or the second is not later by at most `MAX_GAP_S`: a list of samples
    may jump, repeat or go back.
    """
    before, after = first.sample.frame, second.sample.frame
    gap_s = (after.reference_stamp_ns - before.reference_stamp_ns) * 1e-9
    if not 0.0 < gap_s <= MAX_GAP_S:
        return
    if before.T_world_ego is None or after.T_world_ego is None or before.rig.fingerprint != after.rig.fingerprint:
        return
    first_m = truth.on_grids(first.sample, first.prediction.windows)
    second_m = truth.on_grids(second.sample, second.prediction.windows)
    for i, camera in enumerate(second.grid_rig.cameras):
        if not (before.camera_valid[i] and after.camera_valid[i]) or first_m[i].shape != second_m[i].shape:
            continue
        T_world_first, T_world_second = (T[i] @ camera.T_ego_cam for T in (before.T_world_ego, after.T_world_ego))
        row, column = np.nonzero(np.isfinite(first_m[i]))
        points = static_points(
            np.stack([column, row], axis=-1),
            first_m[i][row, column],
            second_m[i],
            camera,
            invert_rigid(T_world_second) @ T_world_first,
            0 if truth.kind == "dense" else max(1, round(_LIDAR_SPACING * camera.width_px)),
        )
        found = flicker(points, first.prediction.depth_m[i], second.prediction.depth_m[i])
        yield second.record(camera.name, "flicker", Measure({**found.values, "gap_s": gap_s}, found.n_pixels))
