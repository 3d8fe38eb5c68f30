"""Several sweeps as one cloud at one moment: the vehicle's motion undone, what moves taken from its own moment only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_tracks import Tracks
from surround_depth.data.sample import Box, RecordedSequence
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import Array, invert_rigid, transform

_VEHICLE_LOW_M = np.array([-1.2, -1.0, -1.0])
"""The own vehicle in ego coordinates, whose origin is on the ground under the rear axle. On nuScenes (a Renault Zoe)
every return from roof and rack lies inside, 8.5 thousand of 34.7 thousand, and the nearest road outside; on DDAD the
clouds come without them."""
_VEHICLE_HIGH_M = np.array([3.9, 1.0, 2.6])


def accumulated_sweep(sequence: RecordedSequence, index: int, before: int, after: int) -> PointCloud:
    """Return the sweeps around sample `index` as one cloud in the ego frame at the sample's own sweep.

    Args:
        before: how many sweeps before the sample's own to add, fewer at the start of a drive; `after` likewise.

    Raises:
        DataError: the sample has no sweep, or a sweep or an annotation is damaged.
    """
    own = sequence.sweeps(index, 0, 0)
    if not own:
        raise DataError(f"{sequence.name}: sample {index} has no LiDAR sweep; accumulate around one that has")
    sweeps = sequence.sweeps(index, before, after)
    boxes = sequence.boxes_between(sweeps[0].stamp_ns, sweeps[-1].stamp_ns)
    return accumulate(sweeps, own[0].stamp_ns, boxes)


def accumulate(sweeps: Sequence[PointCloud], key_stamp_ns: int, boxes: Iterable[Box] = ()) -> PointCloud:
    """Return sweeps as one cloud in the ego frame at `key_stamp_ns`, the stamp of one of them.

    Without the own vehicle, and without points of the other sweeps on objects that move (see `Tracks`): where those
    are at the key moment, the key sweep alone says. The other sweeps come first in order of time, the key sweep last,
    so that where the last point wins a pixel it is the key sweep's.

    Args:
        sweeps: each in the ego frame at its own stamp, with its `T_world_ego`.
        boxes: annotated boxes of the moments around, in any order; without any nothing is known to move.

    Raises:
        DataError: no sweep has that stamp, or one is not in the ego frame or has no pose.
    """
    keys = [sweep for sweep in sweeps if sweep.stamp_ns == key_stamp_ns]
    if not keys:
        raise DataError(f"no sweep has the key's stamp {key_stamp_ns} ns; there are {[s.stamp_ns for s in sweeps]}")
    key = keys[0]
    tracks = Tracks(boxes)
    T_key_world = invert_rigid(_pose_of(key))
    points_m, intensity = [], []
    for sweep in sorted((s for s in sweeps if s.stamp_ns != key_stamp_ns), key=lambda s: s.stamp_ns):
        T_world_ego = _pose_of(sweep)
        keep = ~own_vehicle(sweep) & ~tracks.at(sweep.stamp_ns).holds(sweep.points_m, T_world_ego)
        moved_m = transform(T_key_world @ T_world_ego, sweep.points_m[keep].astype(np.float64))
        points_m.append(moved_m.astype(np.float32))
        intensity.append(None if sweep.intensity is None else sweep.intensity[keep])
    keep = ~own_vehicle(key)
    points_m.append(key.points_m[keep])
    intensity.append(None if key.intensity is None else key.intensity[keep])
    known = [values for values in intensity if values is not None]
    return PointCloud(
        np.concatenate(points_m),
        "ego",
        key.stamp_ns,
        frame_id=key.frame_id,
        T_world_ego=key.T_world_ego,
        intensity=np.concatenate(known) if len(known) == len(intensity) else None,
    )


def own_vehicle(cloud: PointCloud) -> NDArray[np.bool_]:
    """Return which points [P] of a cloud in the ego frame lie on or in the own vehicle."""
    return np.asarray(((cloud.points_m > _VEHICLE_LOW_M) & (cloud.points_m < _VEHICLE_HIGH_M)).all(axis=1))


def _pose_of(sweep: PointCloud) -> Array:
    if sweep.coordinate_frame != "ego" or sweep.T_world_ego is None:
        raise DataError(
            f"cloud {sweep.frame_id} at {sweep.stamp_ns} ns: expected ego coordinates and a pose, got "
            f"{sweep.coordinate_frame}, {'no pose' if sweep.T_world_ego is None else 'a pose'}; "
            "sweeps without poses cannot be accumulated"
        )
    return sweep.T_world_ego
