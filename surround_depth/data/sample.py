"""What every data set hands out: frames with their LiDAR sweep and, where the world is known exactly, dense truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from surround_depth.frame import Image, PointCloud, SurroundFrame
from surround_depth.geometry import Array


@dataclass(frozen=True)
class DenseTruth:
    """Exact depth of every pixel of a frame, at the frame's own camera resolutions."""

    depth_m: tuple[NDArray[np.float32], ...]  # N x [H, W] z-depth at pixel centres, NaN = none
    sky: tuple[NDArray[np.bool_], ...]  # N x [H, W]


@dataclass(frozen=True)
class PartnerViews:
    """Second views that a teacher may look at and a student never does; see `data.stereo_partners`.

    Each has the K, size, orientation and stamp of its camera and lies `baseline_m` along that camera's x, so the two
    are a rectified pair.
    """

    images: tuple[Image | None, ...]  # N, in the order of the frame's rig; None = no partner, or its picture is missing
    baseline_m: NDArray[np.float64]  # [N]; NaN where there is no picture; negative: the partner lies to the left


@dataclass(frozen=True)
class Sample:
    """One moment: the cameras' frame, the sweep nearest to it, and dense truth where there is any."""

    frame: SurroundFrame
    lidar: PointCloud | None  # coordinate_frame "ego" at the sweep's own stamp, with its own T_world_ego
    truth: DenseTruth | None = None
    partners: PartnerViews | None = None


@dataclass(frozen=True, eq=False)
class Box:
    """An annotated object at one moment. Box frame: x along its length, y to its left, z up, origin at its centre."""

    T_world_box: Array  # [4, 4]
    size_m: tuple[float, float, float]  # length (x), width (y), height (z)
    label: str  # the data set's own category
    track: str  # the same object at other moments has the same track
    stamp_ns: int


class SampleSequence(Protocol):
    """The samples of one drive in order of time, read when indexed."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@runtime_checkable
class RecordedSequence(SampleSequence, Protocol):
    """A drive that also has the LiDAR sweeps around each sample, annotated boxes, and words for its conditions."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """Words that results are split by, e.g. "night", "rain"; empty where the data set does not say."""

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        """Return up to `before` + 1 + `after` LiDAR sweeps around sample `index` in order of time, its own among them.

        Each is in the ego frame at its own stamp, with its own `T_world_ego`. Of the whole drive, also where a list
        narrows its samples; fewer at the ends of a drive.

        Raises:
            DataError: a sweep is missing or damaged.
        """

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return the annotated boxes of sample `index`; empty where there are none."""

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        """Return the boxes of the annotated moments from the last before `first_ns` to the first after `last_ns`.

        Of the whole drive, also where a list narrows its samples, as `sweeps` are: what moved between two moments does
        not depend on which of them somebody lists. Fewer at the ends of a drive.

        Raises:
            DataError: an annotation is missing or damaged.
        """


def moments_around(stamps_ns: NDArray[np.int64], first_ns: int, last_ns: int) -> range:
    """Return the places in ascending `stamps_ns` from the last before `first_ns` to the first after `last_ns`."""
    before = int(np.searchsorted(stamps_ns, first_ns, side="left")) - 1
    after = int(np.searchsorted(stamps_ns, last_ns, side="right"))
    return range(max(before, 0), min(after + 1, len(stamps_ns)))


class DriveDataset(Protocol):
    """A data set: named drives. Opening it reads the tables, never images."""

    @property
    def name(self) -> str: ...

    @property
    def licence(self) -> str: ...

    def scenes(self) -> tuple[str, ...]: ...

    def sequence(self, scene: str) -> SampleSequence: ...
