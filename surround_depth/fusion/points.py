"""Unproject the trusted pixels of one camera into a growing list of points (numba)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from surround_depth.frame import SurroundDepth
from surround_depth.fusion.edges import flying_pixels, seen_ranges
from surround_depth.fusion.kernel import kernel
from surround_depth.fusion.rays import RayTable


@dataclass(frozen=True)
class PixelLimits:
    """Which pixels become points."""

    max_range_m: float  # largest distance from the cloud's origin
    min_confidence: float
    steepest: float  # tangent of the most grazing incidence of a surface


@dataclass(frozen=True)
class FusedPoints:
    """Parallel columns of a cloud. `camera_range_m` is the distance from the camera that saw the point."""

    points_m: np.ndarray  # float32 [P, 3]
    rgb: np.ndarray  # uint8 [P, 3]
    confidence: np.ndarray  # float32 [P]
    camera_index: np.ndarray  # int16 [P]
    camera_range_m: np.ndarray  # float32 [P]

    def part(self, start: int, stop: int | None = None) -> FusedPoints:
        """Return some of the points, as views."""
        columns = (self.points_m, self.rgb, self.confidence, self.camera_index, self.camera_range_m)
        return FusedPoints(*(column[start:stop] for column in columns))


@dataclass
class CloudBuffer:
    """Room for the points of all cameras, filled from the front."""

    columns: FusedPoints
    count: int = 0

    @classmethod
    def allocate(cls, capacity: int) -> Self:
        """Return an empty buffer; memory that is never touched costs nothing."""
        return cls(
            FusedPoints(
                points_m=np.empty((capacity, 3), np.float32),
                rgb=np.empty((capacity, 3), np.uint8),
                confidence=np.empty(capacity, np.float32),
                camera_index=np.empty(capacity, np.int16),
                camera_range_m=np.empty(capacity, np.float32),
            )
        )

    def content(self) -> FusedPoints:
        """Return the filled part, as views."""
        return self.columns.part(0, self.count)

    def add_camera(
        self, depth: SurroundDepth, camera_index: int, table: RayTable, T_cloud_cam: np.ndarray, limits: PixelLimits
    ) -> None:
        """Append the points of one camera, placed by `T_cloud_cam` [4, 4], in row order."""
        i, free = camera_index, self.columns.part(self.count)
        ranges_m = seen_ranges(depth.depth_m[i], depth.valid[i], depth.sky[i], table.rays)
        flying = flying_pixels(ranges_m, table.chord_across, table.chord_down, limits.steepest)
        written = _write_points(
            ranges_m,
            ~flying & (depth.confidence[i] >= limits.min_confidence),
            depth.confidence[i],
            depth.images[i],
            table.rays,
            np.ascontiguousarray(T_cloud_cam, np.float64),
            limits.max_range_m,
            free.points_m,
            free.rgb,
            free.confidence,
            free.camera_range_m,
        )
        free.camera_index[:written] = camera_index
        self.count += written


@kernel
def _write_points(
    ranges_m: np.ndarray, trusted: np.ndarray, confidence: np.ndarray, image: np.ndarray, rays: np.ndarray,
    T: np.ndarray, max_range_m: float,
    out_points: np.ndarray, out_rgb: np.ndarray, out_confidence: np.ndarray, out_range: np.ndarray,
) -> int:  # fmt: skip
    """Write the trusted pixels that see a surface within reach; return how many there are."""
    written = 0
    for v in range(ranges_m.shape[0]):
        for u in range(ranges_m.shape[1]):
            range_m = ranges_m[v, u]
            if not (trusted[v, u] and range_m < np.inf):
                continue
            x, y, z = rays[v, u, 0] * range_m, rays[v, u, 1] * range_m, rays[v, u, 2] * range_m
            px = T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3]
            py = T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3]
            pz = T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3]
            if px * px + py * py + pz * pz > max_range_m * max_range_m:
                continue
            out_points[written, 0], out_points[written, 1], out_points[written, 2] = px, py, pz
            for channel in range(3):
                out_rgb[written, channel] = image[v, u, channel]
            out_confidence[written] = confidence[v, u]
            out_range[written] = range_m
            written += 1
    return written
