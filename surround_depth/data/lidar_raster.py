"""Points into pixels: the one projection and rasterisation of LiDAR, by the switches of `metrics.protocols.Rasteriser`.

Published truth differs in how a sub-pixel point finds its pixel and in who wins a pixel: on DDAD only a quarter of the
points fall into the same pixel under truncation and under rounding. Everything that turns points into depth maps
comes through here, so the switches exist once. Sources of each rule: docs/protocols.md.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from surround_depth.geometry import Array, Lens, project, transform
from surround_depth.jit import cached_njit
from surround_depth.metrics.protocols import Rasteriser
from surround_depth.window import ImageWindow

PINHOLE = Lens()
_kernel = cached_njit(nogil=True, error_model="numpy")
_ROUNDING = {"half_even": 0, "half_up": 1, "truncate": 2}


class ProjectedPoints(NamedTuple):
    """The points of a cloud that lie in front of a camera, where its image plane meets them."""

    uv_px: NDArray[Any]  # [P', 2] not rounded, finite, anywhere on the plane
    depth_m: NDArray[Any]  # [P'] z along the optical axis
    point_index: NDArray[np.int64]  # [P'] place in the cloud, ascending


class SparseDepth(NamedTuple):
    """The pixels of a depth map that have a value, row by row."""

    row: NDArray[np.int64]  # [n]
    column: NDArray[np.int64]  # [n]
    depth_m: NDArray[np.float32]  # [n] z along the optical axis
    point_index: NDArray[np.int64]  # [n] which point of the cloud

    @property
    def uv_px(self) -> NDArray[np.int64]:
        """Pixels (u, v) [n, 2]."""
        return np.stack([self.column, self.row], axis=-1)

    def dense(self, height_px: int, width_px: int) -> NDArray[np.float32]:
        """Return the depth map [H, W]; NaN = none."""
        depth_m = np.full((height_px, width_px), np.nan, np.float32)
        depth_m[self.row, self.column] = self.depth_m
        return depth_m

    def where(self, keep: NDArray[np.bool_]) -> SparseDepth:
        """Return only the pixels [n] marked True."""
        return SparseDepth(self.row[keep], self.column[keep], self.depth_m[keep], self.point_index[keep])


def project_points(
    points_m: NDArray[np.float32],
    T_cam_points: Array,
    K: Array,
    lens: Lens = PINHOLE,
    *,
    arithmetic: Literal["float64", "float32_product"] = "float64",
    min_depth_m: float = 0.0,
) -> ProjectedPoints:
    """Return the points [P, 3] with z > `min_depth_m` in camera coordinates, and their pixels.

    Args:
        points_m: in the frame that `T_cam_points` [4, 4] maps into the camera.
        K: [3, 3], not rounded to float32 beforehand.
        arithmetic: "float32_product" casts transform and K to float32 and multiplies in it, as SurroundDepth's
            exporter does with `torch.mm`. The order in which BLAS adds is not pinned by anyone, so the last bit of a
            product may differ from theirs; here it is left to right. A lens with distortion is always float64.
    """
    dtype = np.float32 if arithmetic == "float32_product" and lens.model == "pinhole" else np.float64
    if lens.model == "pinhole":
        return ProjectedPoints(*_project_pinhole(points_m, T_cam_points.astype(dtype), K.astype(dtype), min_depth_m))
    points_cam_m = transform(T_cam_points, points_m.astype(np.float64))
    index = np.flatnonzero(points_cam_m[:, 2] > min_depth_m)
    uv_px = project(points_cam_m[index], K, lens)
    seen = np.isfinite(uv_px).all(axis=1)
    return ProjectedPoints(uv_px[seen], points_cam_m[index[seen], 2], index[seen])


def rasterise_sparse(
    points_m: NDArray[np.float32],
    T_cam_points: Array,
    K: Array,
    lens: Lens,
    height_px: int,
    width_px: int,
    rasteriser: Rasteriser,
) -> SparseDepth:
    """Return the pixels that points [P, 3] fall into, and the winning point of each; see `rasterise`."""
    points = project_points(
        points_m,
        T_cam_points,
        K,
        lens,
        arithmetic=rasteriser.arithmetic,
        min_depth_m=rasteriser.min_depth_m,
    )
    pixel = _pixels(points.uv_px, height_px, width_px, _ROUNDING[rasteriser.rounding], rasteriser.bounds == "unrounded")
    return _won(pixel, width_px, points.depth_m.astype(np.float32), points.point_index, rasteriser.winner)


def rasterise(
    points_m: NDArray[np.float32],
    T_cam_points: Array,
    K: Array,
    lens: Lens,
    height_px: int,
    width_px: int,
    rasteriser: Rasteriser,
) -> NDArray[np.float32]:
    """Return the sparse z-depth map [H, W] of points [P, 3]; NaN = none.

    Args:
        points_m: in file order, which decides where the last point wins.
        T_cam_points: [4, 4] from the points' frame to the camera, the vehicle's motion between their times included.
        K: [3, 3] of an image of `height_px` x `width_px`.
        rasteriser: the switches. Rounding is done on the coordinate's exact value: float32 coordinates are not
            rounded in float32.

    Source: SurroundDepth tools/export_gt_depth_nusc.py, dgp utils/camera.py (`generate_depth_map`).
    """
    found = rasterise_sparse(points_m, T_cam_points, K, lens, height_px, width_px, rasteriser)
    return found.dense(height_px, width_px)


def resize_sparse_preserve(depth: SparseDepth, window: ImageWindow) -> SparseDepth:
    """Return a recorded image's depth on the grid of `window`: values move, none is averaged, the last one wins.

    Row r goes to int(r * (h/H)) and column c to int(c * (w/W)) of the resized image, in float64; what falls outside the
    grid is dropped. Of several values in one cell the last in row-major order wins.

    Source: `resize_depth_preserve` of packnet-sfm and VFDepth.
    """
    pixel = _preserved_pixels(
        depth.row,
        depth.column,
        (window.scale_y, window.scale_x),
        (window.top_px, window.left_px),
        (window.grid_height_px, window.grid_width_px),
    )
    return _won(pixel, window.grid_width_px, depth.depth_m, depth.point_index, "last")


def resize_depth_preserve(depth_m: NDArray[np.float32], window: ImageWindow) -> NDArray[np.float32]:
    """Return a depth map [H, W] on the grid of `window` [h, w], NaN = none; see `resize_sparse_preserve`."""
    row, column = np.nonzero(np.isfinite(depth_m))
    depth = SparseDepth(row, column, depth_m[row, column], np.arange(len(row)))
    return resize_sparse_preserve(depth, window).dense(window.grid_height_px, window.grid_width_px)


def _won(
    pixel: NDArray[np.int64],
    width_px: int,
    depth_m: NDArray[np.float32],
    point_index: NDArray[np.int64],
    winner: Literal["last", "nearest"],
) -> SparseDepth:
    """Return one candidate for each pixel (flat, -1 = none), row by row; of equally near ones the first."""
    candidate = np.flatnonzero(pixel >= 0)
    # Pixel above, place below: one plain sort orders by pixel and keeps file order within it.
    order = np.sort((pixel[candidate] << 32) | candidate)
    chosen = _pick(order, depth_m, winner == "nearest")
    row, column = np.divmod(pixel[chosen], width_px)
    return SparseDepth(row, column, depth_m[chosen], point_index[chosen])


@_kernel
def _project_pinhole(
    points_m: np.ndarray, T: np.ndarray, K: np.ndarray, min_depth_m: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project in the arithmetic of T and K. Plain multiply and add: without fastmath numba fuses and reorders none."""
    uv_px = np.empty((len(points_m), 2), T.dtype)
    depth_m = np.empty(len(points_m), T.dtype)
    index = np.empty(len(points_m), np.int64)
    n = 0
    for i in range(len(points_m)):
        x, y, z = points_m[i, 0], points_m[i, 1], points_m[i, 2]
        z_cam = T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3]
        if z_cam > min_depth_m:
            x_cam = T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3]
            y_cam = T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3]
            u = (K[0, 0] * x_cam + K[0, 1] * y_cam + K[0, 2] * z_cam) / z_cam
            v = (K[1, 1] * y_cam + K[1, 2] * z_cam) / z_cam
            if np.isfinite(u) and np.isfinite(v):
                uv_px[n, 0], uv_px[n, 1], depth_m[n], index[n] = u, v, z_cam, i
                n += 1
    return uv_px[:n], depth_m[:n], index[:n]


@_kernel
def _pixels(uv_px: np.ndarray, height_px: int, width_px: int, rounding: int, test_unrounded: bool) -> np.ndarray:
    """Return the flat pixel [P'] of each coordinate, -1 outside."""
    pixel = np.full(len(uv_px), -1, np.int64)
    for i in range(len(uv_px)):
        u, v = np.float64(uv_px[i, 0]), np.float64(uv_px[i, 1])
        column, row = _rounded(u, rounding), _rounded(v, rounding)
        test_u, test_v = (u, v) if test_unrounded else (column, row)
        if 0.0 <= test_u <= width_px - 1 and 0.0 <= test_v <= height_px - 1:
            pixel[i] = np.int64(row) * width_px + np.int64(column)
    return pixel


@_kernel
def _rounded(value: float, rounding: int) -> float:
    if rounding == 0:
        return np.rint(value)
    if rounding == 1:
        return np.floor(value + 0.5)
    return np.trunc(value)


@_kernel
def _preserved_pixels(
    row: np.ndarray,
    column: np.ndarray,
    scale: tuple[float, float],
    corner: tuple[int, int],
    size: tuple[int, int],
) -> np.ndarray:
    """Return the flat cell [n] of each pixel, -1 outside the grid; pairs are (rows, columns)."""
    pixel = np.full(len(row), -1, np.int64)
    for i in range(len(row)):
        r, c = np.int64(row[i] * scale[0]) - corner[0], np.int64(column[i] * scale[1]) - corner[1]
        if 0 <= r < size[0] and 0 <= c < size[1]:
            pixel[i] = r * size[1] + c
    return pixel


@_kernel
def _pick(order: np.ndarray, depth_m: np.ndarray, nearest: bool) -> np.ndarray:
    """Return the winner's place for each run of equal pixels in `order` (pixel << 32 | place, sorted)."""
    chosen = np.empty(len(order), np.int64)
    n = 0
    for i in range(len(order)):
        place = order[i] & 0xFFFFFFFF
        if i == 0 or order[i] >> 32 != order[i - 1] >> 32:
            chosen[n] = place
            n += 1
        elif not nearest or depth_m[place] < depth_m[chosen[n - 1]]:
            chosen[n - 1] = place
    return chosen[:n]
