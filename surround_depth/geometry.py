"""The laws of space: rigid transforms, lenses, projection and rays. Everything else obeys, nothing else repeats them.

Frames
    `T_a_b` maps frame b into frame a: ``p_a = T_a_b @ p_b``; inner letters cancel, as in
    ``T_world_cam = T_world_ego @ T_ego_cam``. `cam`: x right, y down, z forward. `ego`: x forward, y left, z up
    (REP 103). `world`: z up. Quaternions are `wxyz`.
Pixels
    (0, 0) is the centre of the top-left pixel, so an image spans [-0.5, W - 0.5]. Only `resized_K` and `cropped_K`
    change K.
Depth
    `depth_m` is z along the optical axis (REP 118); `range_m` is the Euclidean distance from the camera. NaN means
    no value.
Letters in shapes
    N cameras, H W pixels, h w cells of a coarser grid, P points; `...` any leading axes. Radians and metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import CalibrationError

Array: TypeAlias = NDArray[np.float64]
LensModel = Literal["pinhole", "radtan", "fisheye"]

# Below this z (of a unit ray) z-depth is meaningless: the ray runs along or behind the image plane.
MIN_RAY_Z = 1e-3
_NEWTON_STEPS = 30
_NEWTON_TOLERANCE = 1e-10
_WIDEST_RADTAN = 20.0  # tan of 87 degrees: no perspective lens sees farther
_COEFFICIENT_COUNTS = {"pinhole": (0,), "radtan": (4, 5, 8), "fisheye": (4,)}


# --- rigid transforms -------------------------------------------------------------------------------------------------


def quaternion_to_R(q_wxyz: Array | list[float] | tuple[float, ...]) -> Array:
    """Return the rotation matrix [3, 3] of a unit quaternion (w, x, y, z).

    Raises:
        CalibrationError: not four finite numbers, or a norm more than 1e-3 away from 1 (a wrong order of numbers or a
            truncated file; small rounding is normalised away).
    """
    q = np.asarray(q_wxyz, dtype=np.float64)
    if q.shape != (4,) or not np.isfinite(q).all():
        raise CalibrationError(f"a quaternion is four finite numbers w, x, y, z; got {q.tolist()}")
    with np.errstate(over="ignore"):  # a hostile file's 1e308; the norm is then infinite, and refused
        norm = float(np.linalg.norm(q))
    if abs(norm - 1.0) > 1e-3:
        raise CalibrationError(f"quaternion {q.tolist()} has norm {norm:.4f}, expected 1; it must be w, x, y, z")
    w, x, y, z = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def R_to_quaternion(R: Array) -> Array:
    """Return the unit quaternion (w, x, y, z), w >= 0, of a rotation matrix [3, 3].

    The eigenvector form (Bar-Itzhack 2000) has no branch and no weak spot at half turns.
    """
    m = np.asarray(R, dtype=np.float64)
    K = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0.0, 0.0, 0.0],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0.0, 0.0],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0.0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    _, vectors = np.linalg.eigh(K / 3.0, UPLO="L")
    x, y, z, w = vectors[:, -1]
    q = np.array([w, x, y, z])
    return -q if w < 0 else q


def for_hash(array: Array) -> Array:
    """Return the numbers to nine decimals (a nanometre): beyond that they depend on a machine's linear algebra.

    What is hashed on one machine and looked up on another is hashed so.
    """
    return np.round(array, 9) + 0.0  # without a sign of zero


def rigid(R: Array, t_m: Array | list[float] | tuple[float, ...]) -> Array:
    """Return the transform [4, 4] of a rotation [3, 3] and a translation [3] in metres."""
    T = np.eye(4)
    T[:3, :3] = R
    T[:3, 3] = t_m
    return T


def invert_rigid(T: Array) -> Array:
    """Return the inverse [..., 4, 4] of rigid transforms, exactly by transposing the rotation."""
    inverse = np.zeros_like(T, dtype=np.float64)
    R_transposed = np.swapaxes(T[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = R_transposed
    inverse[..., :3, 3] = -(R_transposed @ T[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def transform(T: Array, points: Array) -> Array:
    """Return points [..., P, 3] moved by T [..., 4, 4]: `transform(T_a_b, points_b)` are the points in a."""
    moved: Array = points @ np.swapaxes(T[..., :3, :3], -1, -2) + T[..., None, :3, 3]
    return moved


# --- intrinsics -------------------------------------------------------------------------------------------------------


def resized_K(K: Array, scale_x: float, scale_y: float) -> Array:
    """Return K [3, 3] of an image resized by the scales, corners kept: ``c' = (c + 0.5) s - 0.5``, ``f' = f s``."""
    S = np.array([[scale_x, 0.0, 0.5 * scale_x - 0.5], [0.0, scale_y, 0.5 * scale_y - 0.5], [0.0, 0.0, 1.0]])
    return S @ K


def cropped_K(K: Array, left_px: float, top_px: float) -> Array:
    """Return K [3, 3] of an image whose first `left_px` columns and `top_px` rows were cut off."""
    cropped = np.array(K, dtype=np.float64)
    cropped[0, 2] -= left_px
    cropped[1, 2] -= top_px
    return cropped


# --- lenses -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lens:
    """How a camera-frame direction meets the image plane, in OpenCV's coefficient order.

    `pinhole`: no coefficients. `radtan`: k1 k2 p1 p2 [k3 [k4 k5 k6]] (cv2.projectPoints). `fisheye`: k1 k2 k3 k4, the
    Kannala-Brandt polynomial of cv2.fisheye, valid up to and beyond 90 degrees off axis.
    """

    model: LensModel = "pinhole"
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        # cv2 hands out arrays; a tuple of plain floats compares, hashes and serialises.
        object.__setattr__(self, "coefficients", tuple(float(c) for c in np.ravel(self.coefficients)))
        if self.model not in get_args(LensModel):
            raise CalibrationError(f"lens model {self.model!r} is not one of {', '.join(get_args(LensModel))}")
        if len(self.coefficients) not in _COEFFICIENT_COUNTS[self.model]:
            counts = " or ".join(map(str, _COEFFICIENT_COUNTS[self.model]))
            raise CalibrationError(f"lens {self.model} takes {counts} coefficients, got {len(self.coefficients)}")
        if not np.isfinite(self.coefficients).all():
            raise CalibrationError(f"lens {self.model} has a coefficient that is not finite: {self.coefficients}")


def project(points_cam_m: Array, K: Array, lens: Lens = Lens()) -> Array:
    """Return pixel coordinates [..., 2] (u, v) of camera-frame points [..., 3].

    NaN where a point has no image: behind a pinhole or radtan camera, or beyond the angle at which the distortion
    polynomial folds back (there cv2 returns a false pixel inside the image).
    """
    points = np.asarray(points_cam_m, dtype=np.float64)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        if lens.model == "fisheye":
            xy = _project_fisheye(x, y, z, lens)
        else:
            xy = np.stack([x / z, y / z], axis=-1)
            if lens.model == "radtan":
                folded = np.hypot(xy[..., 0], xy[..., 1]) > _fold_limit(lens)
                xy = np.where(folded[..., None], np.nan, _distort_radtan(xy, lens)[0])
            xy = np.where((z > 0.0)[..., None], xy, np.nan)
    u = K[0, 0] * xy[..., 0] + K[0, 1] * xy[..., 1] + K[0, 2]
    v = K[1, 1] * xy[..., 1] + K[1, 2]
    return np.stack([u, v], axis=-1)


def unit_rays(uv_px: Array, K: Array, lens: Lens = Lens()) -> Array:
    """Return unit rays [..., 3] in the camera frame through pixels [..., 2]; NaN where the lens has no such pixel."""
    uv = np.asarray(uv_px, dtype=np.float64)
    y = (uv[..., 1] - K[1, 2]) / K[1, 1]
    x = (uv[..., 0] - K[0, 2] - K[0, 1] * y) / K[0, 0]
    image = np.stack([x, y], axis=-1)
    if lens.model == "fisheye":
        return _unproject_fisheye(image, lens)
    if lens.model == "radtan":
        image = _undistort_radtan(image, lens)
    rays = np.concatenate([image, np.ones_like(image[..., :1])], axis=-1)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def ray_grid(height_px: int, width_px: int, K: Array, lens: Lens = Lens(), stride_px: int = 1) -> Array:
    """Return unit rays [h, w, 3] through the centres of `stride_px` cells; stride 1 gives one ray per pixel."""
    rows = (np.arange(height_px // stride_px) + 0.5) * stride_px - 0.5
    columns = (np.arange(width_px // stride_px) + 0.5) * stride_px - 0.5
    u, v = np.meshgrid(columns, rows)
    return unit_rays(np.stack([u, v], axis=-1), K, lens)


def unproject(depth_m: Array, rays: Array) -> Array:
    """Return camera-frame points [..., H, W, 3] of z-depth [..., H, W] along unit rays [..., H, W, 3].

    NaN where the depth is NaN or the ray lies within 0.06 degrees of the image plane or behind it.
    """
    z = rays[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(z > MIN_RAY_Z, depth_m / z, np.nan)
    return np.asarray(rays * scale[..., None])


def range_from_depth(depth_m: Array, rays: Array) -> Array:
    """Return the Euclidean distance from the camera of z-depth along unit rays [..., 3]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rays[..., 2] > MIN_RAY_Z, depth_m / rays[..., 2], np.nan)


def depth_from_range(range_m: Array, rays: Array) -> Array:
    """Return the z-depth of Euclidean distances along unit rays [..., 3]."""
    return np.where(rays[..., 2] > MIN_RAY_Z, range_m * rays[..., 2], np.nan)


# --- distortion, in normalised image coordinates ----------------------------------------------------------------------


def _radtan_coefficients(lens: Lens) -> tuple[float, ...]:
    k = lens.coefficients + (0.0,) * (8 - len(lens.coefficients))
    return k


def _distort_radtan(xy: Array, lens: Lens) -> tuple[Array, Array]:
    """Return distorted coordinates [..., 2] and their Jacobian [..., 2, 2] with respect to the ideal ones."""
    k1, k2, p1, p2, k3, k4, k5, k6 = _radtan_coefficients(lens)
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    numerator = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    denominator = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = numerator / denominator
    d_numerator = k1 + r2 * (2 * k2 + r2 * 3 * k3)
    d_denominator = k4 + r2 * (2 * k5 + r2 * 3 * k6)
    d_radial = (d_numerator - radial * d_denominator) / denominator
    distorted = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    mixed = 2 * x * y * d_radial + 2 * p1 * x + 2 * p2 * y
    jacobian = np.stack(
        [
            np.stack([radial + 2 * x * x * d_radial + 2 * p1 * y + 6 * p2 * x, mixed], axis=-1),
            np.stack([mixed, radial + 2 * y * y * d_radial + 6 * p1 * y + 2 * p2 * x], axis=-1),
        ],
        axis=-2,
    )
    return distorted, jacobian


def _undistort_radtan(distorted: Array, lens: Lens) -> Array:
    """Return ideal coordinates [..., 2] by Newton's method; NaN where it finds no point before the fold."""
    radius = np.hypot(distorted[..., 0], distorted[..., 1])
    ideal, image = _radial_table(lens)
    # The radial inverse is a start that cannot lie beyond the fold, whatever the coefficients.
    shrink = np.divide(np.interp(radius, image, ideal), radius, out=np.ones_like(radius), where=radius > 0.0)
    xy = distorted * shrink[..., None]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(_NEWTON_STEPS):
            value, J = _distort_radtan(xy, lens)
            residual = value - distorted
            determinant = J[..., 0, 0] * J[..., 1, 1] - J[..., 0, 1] * J[..., 1, 0]
            step_x = (J[..., 1, 1] * residual[..., 0] - J[..., 0, 1] * residual[..., 1]) / determinant
            step_y = (J[..., 0, 0] * residual[..., 1] - J[..., 1, 0] * residual[..., 0]) / determinant
            step = np.stack([step_x, step_y], axis=-1)
            xy = xy - step
            if np.nanmax(np.abs(step), initial=0.0) < _NEWTON_TOLERANCE:
                break
        miss = np.abs(_distort_radtan(xy, lens)[0] - distorted).max(axis=-1)
        lost = ~(miss < 1e-7) | (np.hypot(xy[..., 0], xy[..., 1]) > _fold_limit(lens))
    return np.where(lost[..., None], np.nan, xy)


def _fisheye_angle(theta: Array, lens: Lens) -> tuple[Array, Array]:
    """Return the distorted angle of `theta` (radians off axis) and its derivative."""
    k1, k2, k3, k4 = lens.coefficients
    t2 = theta * theta
    value = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
    return value, slope


def _project_fisheye(x: Array, y: Array, z: Array, lens: Lens) -> Array:
    r = np.hypot(x, y)
    theta = np.arctan2(r, z)
    theta_d, _ = _fisheye_angle(theta, lens)
    scale = np.where(r > 0.0, theta_d / r, 0.0)
    xy = np.stack([x * scale, y * scale], axis=-1)
    has_image = (theta <= _fold_limit(lens)) & ((r > 0.0) | (z > 0.0))
    return np.where(has_image[..., None], xy, np.nan)


def _unproject_fisheye(image: Array, lens: Lens) -> Array:
    radius = np.hypot(image[..., 0], image[..., 1])
    angles, radii = _radial_table(lens)
    theta, limit = np.interp(radius, radii, angles), _fold_limit(lens)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(_NEWTON_STEPS):
            value, slope = _fisheye_angle(theta, lens)
            step = (value - radius) / slope
            theta = np.clip(theta - np.nan_to_num(step), 0.0, limit)
            if np.nanmax(np.abs(step), initial=0.0) < _NEWTON_TOLERANCE:
                break
        lost = ~(np.abs(_fisheye_angle(theta, lens)[0] - radius) < 1e-7)
        sideways = np.where(radius > 0.0, np.sin(theta) / radius, 1.0)
    rays = np.stack([image[..., 0] * sideways, image[..., 1] * sideways, np.cos(theta)], axis=-1)
    return np.where(lost[..., None], np.nan, rays)


@lru_cache(maxsize=64)
def _fold_limit(lens: Lens) -> float:
    """Return the radius (radtan: tan of the angle; fisheye: the angle) up to which the lens is one to one."""
    grid, value, slope = _radial_profile(lens)
    # A rational radial part also ends at its pole, where the value jumps to the other side.
    ends = np.flatnonzero(~((slope > 0.0) & (value >= 0.0)))
    if ends.size:
        return float(grid[ends[0]])
    return float(np.pi) if lens.model == "fisheye" else float("inf")


@lru_cache(maxsize=64)
def _radial_table(lens: Lens) -> tuple[Array, Array]:
    """Return rising samples of the radial law up to the fold: ideal radius (fisheye: angle) and image radius."""
    grid, value, _ = _radial_profile(lens)
    within = grid <= _fold_limit(lens)
    return grid[within], value[within]


def _radial_profile(lens: Lens) -> tuple[Array, Array, Array]:
    """Return a fine grid of ideal radii (fisheye: angles), their image radii, and the slope.

    Radtan: the radial part alone; the tangential terms are small and have no common direction.
    """
    if lens.model == "fisheye":
        grid = np.linspace(0.0, np.pi, 20_001)
        return grid, *_fisheye_angle(grid, lens)
    grid = np.linspace(0.0, _WIDEST_RADTAN, 200_001)
    radial = Lens("radtan", tuple(0.0 if i in (2, 3) else c for i, c in enumerate(_radtan_coefficients(lens))))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value, jacobian = _distort_radtan(np.stack([grid, np.zeros_like(grid)], axis=-1), radial)
    return grid, value[..., 0], jacobian[..., 0, 0]
