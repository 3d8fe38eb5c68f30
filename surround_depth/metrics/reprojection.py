"""Where the pixels of one camera lie in another: lift with a depth, move, project."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surround_depth.geometry import Array, project, transform, unit_rays, unproject
from surround_depth.jit import cached_njit
from surround_depth.rig import Camera


class Reprojection(NamedTuple):
    """Pixels of camera a as camera b sees their points."""

    uv_px: Array  # [P, 2] in b, not rounded, anywhere on its plane; NaN where the point has no image
    depth_m: Array  # [P] z in b; NaN where a's lens has no ray


def reproject(
    uv_px: NDArray[np.integer] | NDArray[np.floating],
    depth_m: NDArray[np.floating],
    camera_a: Camera,
    camera_b: Camera,
    T_b_a: Array,
) -> Reprojection:
    """Return the points at `uv_px` [P, 2] (u, v) and z-depth `depth_m` [P] of camera a, as camera b sees them.

    A NaN depth gives NaN. Computed in float64. Two pinholes go through one compiled pass (6 maps of 900x1600 into two
    neighbours each: about a second); other lenses through `geometry`.

    Args:
        T_b_a: from camera frame a to camera frame b [4, 4], each at its own time where the caller knows both.
    """
    uv = np.ascontiguousarray(uv_px, np.float64)
    z = np.ascontiguousarray(depth_m, np.float64)
    if camera_a.lens.model == camera_b.lens.model == "pinhole":
        T = np.ascontiguousarray(T_b_a, np.float64)
        return Reprojection(*_reproject_pinhole(uv, z, np.linalg.inv(camera_a.K), camera_b.K, T))
    points_b_m = transform(T_b_a, unproject(z, unit_rays(uv, camera_a.K, camera_a.lens)))
    return Reprojection(project(points_b_m, camera_b.K, camera_b.lens), points_b_m[:, 2])


@cached_njit(nogil=True, error_model="numpy")
def _reproject_pinhole(
    uv: np.ndarray, depth_m: np.ndarray, K_a_inverse: np.ndarray, K_b: np.ndarray, T_b_a: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`project(transform(T, unproject(...)))` of `geometry` for pinholes, without its intermediate arrays."""
    uv_b, depth_b_m = np.empty_like(uv), np.empty_like(depth_m)
    for i in range(len(depth_m)):
        u, v, z = uv[i, 0], uv[i, 1], depth_m[i]
        x = (K_a_inverse[0, 0] * u + K_a_inverse[0, 1] * v + K_a_inverse[0, 2]) * z
        y = (K_a_inverse[1, 1] * v + K_a_inverse[1, 2]) * z
        x_b = T_b_a[0, 0] * x + T_b_a[0, 1] * y + T_b_a[0, 2] * z + T_b_a[0, 3]
        y_b = T_b_a[1, 0] * x + T_b_a[1, 1] * y + T_b_a[1, 2] * z + T_b_a[1, 3]
        z_b = T_b_a[2, 0] * x + T_b_a[2, 1] * y + T_b_a[2, 2] * z + T_b_a[2, 3]
        depth_b_m[i] = z_b
        if z_b > 0.0:
            uv_b[i, 0] = (K_b[0, 0] * x_b + K_b[0, 1] * y_b) / z_b + K_b[0, 2]
            uv_b[i, 1] = K_b[1, 1] * y_b / z_b + K_b[1, 2]
        else:
            uv_b[i, 0] = uv_b[i, 1] = np.nan
    return uv_b, depth_b_m


def nearest_samples(values: NDArray[np.floating], uv_px: Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return `values` [H, W] at the pixel nearest to `uv_px` [P, 2], and which of them lie inside; 0 outside.

    Halves go to the even pixel, as in torch's grid_sample(mode="nearest", padding_mode="zeros", align_corners=True)
    and in numpy's round. A NaN coordinate lies outside.
    """
    height, width = values.shape
    with np.errstate(invalid="ignore"):
        column, row = np.rint(uv_px[:, 0]), np.rint(uv_px[:, 1])
        inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
    sampled = np.zeros(len(uv_px))
    sampled[inside] = values[row[inside].astype(np.intp), column[inside].astype(np.intp)]
    return sampled, inside
