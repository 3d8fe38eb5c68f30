"""From per-camera readings to a `SurroundFrame`: the step every reader shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from surround_depth.frame import EncodedImage, SurroundFrame
from surround_depth.geometry import Array
from surround_depth.rig import Rig


@dataclass(frozen=True)
class CameraReading:
    """What one camera recorded at one moment."""

    image: EncodedImage
    stamp_ns: int
    T_world_ego: Array  # [4, 4] at this camera's own time


def assemble_frame(frame_id: str, rig: Rig, readings: Sequence[CameraReading | None]) -> SurroundFrame:
    """Return the frame of N readings in rig order; None is a camera that recorded nothing (stamp 0, pose identity)."""
    return SurroundFrame(
        frame_id=frame_id,
        rig=rig,
        images=tuple(None if r is None else r.image for r in readings),
        stamps_ns=np.array([0 if r is None else r.stamp_ns for r in readings], dtype=np.int64),
        T_world_ego=np.stack([np.eye(4) if r is None else r.T_world_ego for r in readings]),
        camera_valid=np.array([r is not None for r in readings], dtype=np.bool_),
    )


def in_ring_order(rig: Rig) -> Rig:
    """Return the rig with its cameras clockwise seen from above: FL, F, FR, BR, B, BL."""
    return rig.select(tuple(rig.names[i] for i in rig.ring_order()))
