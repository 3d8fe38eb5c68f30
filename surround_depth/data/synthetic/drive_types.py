"""What the renderer hands to the tree writers: plain arrays, one record a moment, in the laws of `geometry`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surround_depth.rig import Rig


@dataclass(frozen=True)
class RenderedBox:
    """One actor at one moment. `T_world_box`: x along the actor's length, z up, origin at the box centre."""

    instance: str  # stable over a drive, e.g. "vehicle-03"
    category: str  # nuScenes name, e.g. "vehicle.car", "human.pedestrian.adult"
    T_world_box: NDArray[np.float64]  # [4, 4]
    size_lwh_m: tuple[float, float, float]
    velocity_world_mps: tuple[float, float, float]


@dataclass(frozen=True)
class RenderedSample:
    """Six images of one moment with exact depth, and the LiDAR sweep that belongs to them."""

    stamp_ns: int  # the sample's reference time
    images: tuple[NDArray[np.uint8], ...]  # N x [H, W, 3] RGB
    depth_m: tuple[NDArray[np.float32], ...]  # N x [H, W] z-depth at pixel centres, NaN = sky
    stamps_ns: NDArray[np.int64]  # [N] each camera's own time
    T_world_ego: NDArray[np.float64]  # [N, 4, 4] each camera's own ego pose
    lidar_points: NDArray[np.float32]  # [P, 5] x, y, z (sensor frame, m), intensity 0..255, ring
    lidar_stamp_ns: int
    T_world_ego_lidar: NDArray[np.float64]  # [4, 4]
    boxes: tuple[RenderedBox, ...]


@dataclass(frozen=True)
class RenderedDrive:
    """A drive: its rig (with own-body masks), LiDAR mounting, and a lazy iterator of samples."""

    name: str  # e.g. "scene-0007"
    description: str  # what the street is like, for the scene table
    seed: int
    rig: Rig
    T_ego_lidar: NDArray[np.float64]  # [4, 4]
    n_samples: int
    samples: Iterator[RenderedSample]
