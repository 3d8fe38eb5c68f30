"""Annotated objects that move, at any time between and around the annotated moments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.sample import Box
from surround_depth.geometry import Array, R_to_quaternion, invert_rigid, quaternion_to_R, rigid
from surround_depth.jit import cached_njit

_MOVING_MPS = 0.3
"""Annotators leave standing objects where they are (exactly so on DDAD); a slow pedestrian walks 0.5 m/s."""
_MARGIN_M = 0.2
"""Boxes are drawn tightly, and mirrors, loads and errors of time stand out."""


@dataclass(frozen=True, eq=False)
class MovingBoxes:
    """Moving objects at one moment."""

    T_box_world: Array  # [B, 4, 4]
    half_m: Array  # [B, 3] half length, width, height, already enlarged

    def holds(self, points_m: NDArray[np.float32], T_world_points: Array) -> NDArray[np.bool_]:
        """Return which points [P, 3] lie in a box; `T_world_points` [4, 4] maps them into the world."""
        if not len(self.half_m):
            return np.zeros(len(points_m), np.bool_)
        return np.asarray(_in_any_box(points_m, self.T_box_world @ T_world_points, self.half_m))


class Tracks:
    """The tracks of boxes annotated at several moments; those that stand still are left out.

    A track moves if it covers more than 0.3 m/s between any two moments that follow each other, and also if only one
    moment is known: nobody can say that it stands.
    """

    def __init__(self, boxes: Iterable[Box]) -> None:
        by_track: dict[str, list[Box]] = {}
        for box in boxes:
            by_track.setdefault(box.track, []).append(box)
        ordered = (sorted(track, key=lambda box: box.stamp_ns) for track in by_track.values())
        self._moving = [track for track in ordered if len(track) == 1 or _speed_mps(track) > _MOVING_MPS]

    def at(self, stamp_ns: int) -> MovingBoxes:
        """Return the moving boxes at a time: between two moments on a straight line, beyond them carried on."""
        poses = [_pose_at(track, stamp_ns) for track in self._moving]
        half_m = [np.array(track[0].size_m) / 2.0 + _MARGIN_M for track in self._moving]
        T_world_box = np.stack(poses) if poses else np.empty((0, 4, 4))
        return MovingBoxes(invert_rigid(T_world_box), np.stack(half_m) if half_m else np.empty((0, 3)))


def _speed_mps(track: list[Box]) -> float:
    """Return the greatest speed between neighbouring moments."""
    steps_m = np.linalg.norm(np.diff([box.T_world_box[:3, 3] for box in track], axis=0), axis=1)
    steps_s = np.diff([box.stamp_ns for box in track]) * 1e-9
    return float((steps_m / np.maximum(steps_s, 1e-3)).max())


def _pose_at(track: list[Box], stamp_ns: int) -> Array:
    """Return T_world_box [4, 4]; carried on at constant velocity for at most one step beyond what is known."""
    if len(track) == 1:
        return track[0].T_world_box
    later = int(np.clip(np.searchsorted([box.stamp_ns for box in track], stamp_ns), 1, len(track) - 1))
    a, b = track[later - 1], track[later]
    share = float(np.clip((stamp_ns - a.stamp_ns) / max(b.stamp_ns - a.stamp_ns, 1), -1.0, 2.0))
    t_m = (1.0 - share) * a.T_world_box[:3, 3] + share * b.T_world_box[:3, 3]
    q_a, q_b = R_to_quaternion(a.T_world_box[:3, :3]), R_to_quaternion(b.T_world_box[:3, :3])
    # Between moments the turn is small, so the chord stands for the arc; beyond them the heading stays.
    chord = np.clip(share, 0.0, 1.0)
    q = (1.0 - chord) * q_a + chord * (q_b if q_a @ q_b > 0 else -q_b)
    norm = np.linalg.norm(q)
    return rigid(quaternion_to_R(q / norm if norm > 0.1 else q_b), t_m)


@cached_njit(nogil=True, error_model="numpy")
def _in_any_box(points_m: np.ndarray, T_box_points: np.ndarray, half_m: np.ndarray) -> np.ndarray:
    inside = np.zeros(len(points_m), np.bool_)
    for b in range(len(half_m)):
        T, half = T_box_points[b], half_m[b]
        for i in range(len(points_m)):
            x, y, z = points_m[i, 0], points_m[i, 1], points_m[i, 2]
            if (
                abs(T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3]) <= half[0]
                and abs(T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3]) <= half[1]
                and abs(T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3]) <= half[2]
            ):
                inside[i] = True
    return inside
