"""What is measured across cameras' or moments' answers: consistency within a rig, flicker between two moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from surround_depth.data.ground_truth import GroundTruth
from surround_depth.evaluation.measures import scored
from surround_depth.evaluation.moment import Moment
from surround_depth.geometry import invert_rigid
from surround_depth.metrics.consistency import consistency, consistency_pairs, visible_pairs
from surround_depth.metrics.flicker import flicker, static_points
from surround_depth.metrics.records import Record

_FLICKER_WINDOW_PX = {"lidar": 2, "dense": 0}  # wider, a pixel beside an edge is confirmed by the wrong side


def measure_batch(moments: Sequence[Moment], truth: GroundTruth) -> Iterator[Record]:
    """Yield "consistency" (as published) and "consistency+" (ours) of each camera, pooled over the batch's moments.

    Taken at the size of the grids; nothing where they differ from camera to camera.
    """
    if not all(moment.has_one_size and len(moment.grid_rig) > 1 for moment in moments):
        return
    for group, rule in (("consistency", consistency_pairs), ("consistency+", visible_pairs)):
        pairs = []
        for moment in moments:
            depth_m = scored(np.stack(moment.prediction.depth_m), truth.rule.scored_range)
            true_m = np.stack(truth.on_grids(moment.sample, moment.prediction.windows))
            pairs.append(rule(moment.grid_rig, depth_m, true_m))
        for i, camera in enumerate(moments[0].grid_rig.names):
            yield moments[0].record(camera, group, consistency([of_cameras[i] for of_cameras in pairs]))


def measure_pair(first: Moment, second: Moment, truth: GroundTruth) -> Iterator[Record]:
    """Yield "flicker" of each camera between two successive moments; nothing where poses are unknown or rigs differ."""
    before, after = first.sample.frame, second.sample.frame
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
            _FLICKER_WINDOW_PX[truth.kind],
        )
        yield second.record(
            camera.name, "flicker", flicker(points, first.prediction.depth_m[i], second.prediction.depth_m[i])
        )
