"""What every data set hands out: frames with their LiDAR sweep and, where the world is known exactly, dense truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from surround_depth.frame import PointCloud, SurroundFrame


@dataclass(frozen=True)
class DenseTruth:
    """Exact depth of every pixel of a frame, at the frame's own camera resolutions."""

    depth_m: tuple[NDArray[np.float32], ...]  # N x [H, W] z-depth at pixel centres, NaN = none
    sky: tuple[NDArray[np.bool_], ...]  # N x [H, W]


@dataclass(frozen=True)
class Sample:
    """One moment: the cameras' frame, the sweep nearest to it, and dense truth where there is any."""

    frame: SurroundFrame
    lidar: PointCloud | None  # coordinate_frame "ego" at the sweep's own stamp, with its own T_world_ego
    truth: DenseTruth | None = None


class SampleSequence(Protocol):
    """The samples of one drive in order of time, read when indexed."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class DriveDataset(Protocol):
    """A data set: named drives. Opening it reads the tables, never images."""

    @property
    def name(self) -> str: ...

    @property
    def licence(self) -> str: ...

    def scenes(self) -> tuple[str, ...]: ...

    def sequence(self, scene: str) -> SampleSequence: ...
