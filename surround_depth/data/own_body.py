"""Which pixels show the own vehicle, found in drives: it stays where it is while everything else moves.

A region belongs to the vehicle when three things hold: it touches the border of the image, it changes little from
frame to frame, and its outline is an edge that stays in place and keeps its direction over different streets. Sky and
an empty road pass the first two; only the vehicle passes the third. One street is not enough: its kerbs stay too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.data.sample import SampleSequence
from surround_depth.errors import DataError
from surround_depth.geometry import Array
from surround_depth.imaging import decode_image
from surround_depth.rig import Camera

MIN_DRIVES = 4
MIN_FRAMES = 30
MIN_STEP_M = 0.5
"""Frames closer to the one before are not used: the world has not moved enough to change."""
WORK_WIDTH_PX = 640
MIN_SUPPORT = 0.8
"""Share of a region's outline that must be a lasting edge."""
_STEADY_EDGE = 0.6  # length of the mean doubled-angle gradient: 1 for an edge that never turns, 0 for any directions
_AREA = (0.004, 0.45)  # least and most of the image; a vehicle over half of it is a plain under a flat horizon
_TOP_SHARE = 0.8  # a region along this much of the upper border is a sky over a flat horizon
_CHANGE_EDGES = np.geomspace(0.5, 32.0, 19)  # grey levels: histogram bins, and the thresholds that are tried
_CHANGE_QUANTILE = 0.6  # reflections change a body's grey now and then, the world changes most of the time
_FAINT = 1.0  # grey levels per pixel: gradients below count little


@dataclass(frozen=True, eq=False)
class OwnBodyEstimate:
    """The own vehicle in one camera, and how sure that is."""

    own_body: NDArray[np.bool_]  # [H, W] True = own vehicle, at the camera's size
    support: float | None  # of the weakest region taken, `MIN_SUPPORT` to 1; None where there is none
    runner_up: float  # of the strongest region refused, 0 to `MIN_SUPPORT`: near `MIN_SUPPORT` is a doubt
    n_frames: int  # frames used, of all drives

    @property
    def hidden_share(self) -> float:
        """Share of the image that shows the own vehicle."""
        return float(self.own_body.mean())


def intersection_over_union(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the share of the pixels [H, W] of either mask that both hold; 1 where both are empty."""
    either = int((mask | other).sum())
    return int((mask & other).sum()) / either if either else 1.0


def derive_own_body(sequences: Iterable[SampleSequence]) -> Mapping[str, OwnBodyEstimate]:
    """Return the own-body mask of each camera of one vehicle, from drives with that vehicle.

    Frames are read one at a time; memory does not grow with the number of drives. Frames at a standstill and missing
    images are passed over. Drives through different streets make the estimate sure, many frames of one do not.

    Raises:
        DataError: a camera has fewer than `MIN_FRAMES` frames in motion or fewer than `MIN_DRIVES` drives with any, a
            frame has no ego poses, or a camera's size changes.
    """
    statistics: dict[str, CameraStatistics] = {}
    for sequence in sequences:
        for index in range(len(sequence)):
            frame = sequence[index].frame
            if frame.T_world_ego is None:
                raise DataError(f"{sequence.name}, frame {frame.frame_id} has no ego pose: whether it moved is unknown")
            for i, (camera, image) in enumerate(zip(frame.rig.cameras, frame.images, strict=True)):
                if camera.name not in statistics:
                    statistics[camera.name] = CameraStatistics(camera)
                own, T_world_ego = statistics[camera.name], frame.T_world_ego[i]
                if image is not None and frame.camera_valid[i] and own.wants(sequence.name, T_world_ego):
                    own.add(sequence.name, decode_image(image, camera, *own.work_size), camera, T_world_ego)
    if not statistics:
        raise DataError(f"own body: no frame to derive it from; give at least {MIN_DRIVES} drives")
    return {name: own.estimate() for name, own in statistics.items()}


class CameraStatistics:
    """What one camera's pixels did so far: a histogram of their changes, and the mean direction of their edges."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        shrink = min(1.0, WORK_WIDTH_PX / camera.width_px)
        self.work_size = max(1, round(camera.height_px * shrink)), max(1, round(camera.width_px * shrink))
        self._changes = np.zeros((self.work_size[0] * self.work_size[1], len(_CHANGE_EDGES) + 1), np.uint16)
        self._direction = np.zeros((*self.work_size, 2), np.float32)  # sum of doubled-angle gradients
        self._previous: tuple[str, NDArray[np.float32], Array] | None = None  # drive, grey image, position
        self._drives: set[str] = set()
        self._n_frames = 0

    def wants(self, drive: str, T_world_ego: Array) -> bool:
        """Return whether the vehicle has moved since the last frame that was added (and 16 bits still count it)."""
        if self._n_frames == np.iinfo(self._changes.dtype).max:
            return False
        if self._previous is None or self._previous[0] != drive:
            return True
        return float(np.linalg.norm(T_world_ego[:3, 3] - self._previous[2])) >= MIN_STEP_M

    def add(self, drive: str, image: NDArray[np.uint8], camera: Camera, T_world_ego: Array) -> None:
        """Count one RGB image of at least the working size, taken at `T_world_ego` [4, 4]."""
        size = camera.height_px, camera.width_px
        if size != (self._camera.height_px, self._camera.width_px):
            raise DataError(f"{drive}, {camera.name}: images change size to {size[1]}x{size[0]}; derive each by itself")
        height_px, width_px = self.work_size
        small = cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_AREA)
        grey = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
        gx, gy = cv2.Sobel(grey, cv2.CV_32F, 1, 0) / 8.0, cv2.Sobel(grey, cv2.CV_32F, 0, 1) / 8.0
        size_of = np.hypot(gx, gy)
        # At twice its angle an edge is the same whether the vehicle is lighter or darker than the road behind it.
        weight = 1.0 / (np.maximum(size_of, 1e-6) * (size_of + _FAINT))
        self._direction[..., 0] += (gx * gx - gy * gy) * weight
        self._direction[..., 1] += 2.0 * gx * gy * weight
        if self._previous is not None and self._previous[0] == drive:
            bins = np.searchsorted(_CHANGE_EDGES, np.abs(grey - self._previous[1]).ravel())
            self._changes[np.arange(len(bins)), bins] += 1
            self._drives.add(drive)
        self._previous = (drive, np.asarray(grey), T_world_ego[:3, 3])
        self._n_frames += 1

    def estimate(self) -> OwnBodyEstimate:
        """Return the own body by all frames so far.

        Raises:
            DataError: too few frames in motion, or too few drives.
        """
        if self._n_frames < MIN_FRAMES or len(self._drives) < MIN_DRIVES:
            raise DataError(
                f"{self._camera.name}: {self._n_frames} frames at least {MIN_STEP_M} m apart from {len(self._drives)} "
                f"drives in motion; the own body needs {MIN_FRAMES} from {MIN_DRIVES} drives through different streets"
            )
        steady = np.linalg.norm(self._direction, axis=-1) / self._n_frames > _STEADY_EDGE
        # An outline of low contrast may lie a pixel or two beside its edge.
        steady = cv2.dilate(steady.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        taken, support, runner_up = _choose(_regions(self._typical_change_bin(), steady), self.work_size)
        full_size = self._camera.width_px, self._camera.height_px
        share = cv2.resize(taken.astype(np.float32), full_size, interpolation=cv2.INTER_LINEAR)
        return OwnBodyEstimate(np.asarray(share > 0.5), support, runner_up, self._n_frames)

    def _typical_change_bin(self) -> NDArray[np.int64]:
        """Return the bin [h, w] of `_CHANGE_EDGES` that holds each pixel's quantile of changes."""
        cumulative = np.cumsum(self._changes, axis=1, dtype=np.int64)
        below = cumulative < _CHANGE_QUANTILE * cumulative[:, -1:]
        return np.asarray(below.sum(axis=1)).reshape(self.work_size)


@dataclass(frozen=True, eq=False)
class _Region:
    """A quiet region at the border of the image, and how much of its outline is a lasting edge."""

    inside: NDArray[np.bool_]  # [h, w]
    n_outline: int
    n_steady: int

    @property
    def support(self) -> float:
        return self.n_steady / self.n_outline if self.n_outline else 0.0

    @property
    def evidence(self) -> float:
        """Lasting outline against loose outline: positive from `MIN_SUPPORT` on, the more the longer it is."""
        return self.n_steady - MIN_SUPPORT / (1.0 - MIN_SUPPORT) * (self.n_outline - self.n_steady)


def _choose(regions: list[_Region], size: tuple[int, int]) -> tuple[NDArray[np.bool_], float | None, float]:
    """Return the union [h, w] of the best regions that do not overlap, their least support, the best one refused."""
    taken, runner_up = np.zeros(size, np.bool_), 0.0
    supports = []
    # The same place comes once per threshold: the one with the longest lasting outline is neither a part nor a leak.
    for region in sorted(regions, key=lambda region: -region.evidence):
        if (region.inside & taken).any():
            continue
        if region.support >= MIN_SUPPORT:
            taken |= region.inside
            supports.append(region.support)
        else:
            runner_up = max(runner_up, region.support)
    return taken, min(supports, default=None), runner_up


def _regions(change_bin: NDArray[np.int64], steady: NDArray[np.bool_]) -> list[_Region]:
    """Return everything quiet that touches the border, at every threshold of change."""
    found = []
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    for threshold in range(1, len(_CHANGE_EDGES)):
        quiet = cv2.morphologyEx((change_bin < threshold).astype(np.uint8), cv2.MORPH_OPEN, kernel)
        n, labels, boxes, _ = cv2.connectedComponentsWithStats(quiet, connectivity=4)
        for label in range(1, n):
            if boxes[label, cv2.CC_STAT_AREA] < _AREA[0] * quiet.size:
                continue
            inside = _filled(labels == label)
            if _may_be_body(inside):
                outline = _outline(inside)
                found.append(_Region(inside, int(outline.sum()), int((outline & steady).sum())))
    return found


def _may_be_body(inside: NDArray[np.bool_]) -> bool:
    touches = inside[[0, -1]].any() or inside[:, [0, -1]].any()
    return bool(touches and inside.mean() <= _AREA[1] and inside[0].mean() < _TOP_SHARE)


def _filled(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the region with its holes: reflections, and lettering."""
    outside = cv2.copyMakeBorder((~region).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] != labels[0, 0])


def _outline(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the outermost pixels of a region, without those on the border of the image."""
    kernel = np.ones((3, 3), np.uint8)
    outline = region & (cv2.erode(region.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1) == 0)
    outline[[0, -1]] = outline[:, [0, -1]] = False
    return np.asarray(outline)
