"""Calibration as features: where each pixel looks, from where, and how much of the world it covers.

The network is told rays and poses, never lenses, intrinsics or camera names, so one student serves any rig.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surround_depth.models.config import RayFrame

N_RAY_FEATURES: dict[RayFrame, int] = {"ego": 11, "level": 6}
RAY_STRIDE = 8
_MIN_CAMERA_HEIGHT_M = 0.2
_MIN_RAY_Z = 0.05
GROUND_RANGE_M = (0.5, 200.0)
_TYPICAL_STEP_RAD = 0.02
"""Angle between neighbouring stride-8 rays of a 70 degree camera 448 px wide: centres the footprint feature on zero."""
CANONICAL_FOCAL_CELLS = 30.0
"""Focal length of the canonical camera in stride-8 cells. From 192 to 640 pixels wide and 50 to 110 degrees, cameras
have 8 to 110: within a factor of four of it, see `depth_bins.CANONICAL_REACH`."""


def ray_features(rays: Tensor, T_ego_cam: Tensor, frame: RayFrame) -> Tensor:
    """Return the geometric description of every stride-8 cell, float32 [B*N, C, h, w], C = `N_RAY_FEATURES[frame]`.

    `level` channels: how much the ray rises in the ego frame, the ray's z in the camera frame (range to z-depth), the
    log angular footprint of the cell along x and y (focal length, without naming a lens), and the depth a flat ground
    (ego z = 0) would have here, as inverse depth and as log depth. None of them changes when the vehicle's origin on
    the ground or its x axis is chosen otherwise, and a camera that looks elsewhere on another rig brings no values that
    were never seen.
    `ego` adds where the ray looks forward and left (2), and the camera's position (3): constants of the rig that a
    network can learn by heart.

    Args:
        rays: unit rays in the camera frame [B, N, h, w, 3].
        T_ego_cam: [B, N, 4, 4].

    Source: ours. Hand-worked in tests/models/test_ray_conditioning.py.
    """
    B, N, h, w, _ = rays.shape
    rays_ego = _rotated(rays, T_ego_cam)
    step_x = _neighbour_distance(rays, dim=3)
    step_y = _neighbour_distance(rays, dim=2)
    footprint = torch.log(torch.stack((step_x, step_y), dim=-1) / _TYPICAL_STEP_RAD)

    near_m, far_m = GROUND_RANGE_M
    ground_per_m = ground_inverse_depth(rays, T_ego_cam).clamp(1.0 / far_m, 1.0 / near_m)
    middle = 0.5 * (math.log(near_m) + math.log(far_m))
    ground_log = -torch.log(ground_per_m) - middle
    position = (T_ego_cam[..., :3, 3] / 2.0)[:, :, None, None, :].expand(B, N, h, w, 3)
    channels = {
        "ego": (rays_ego, rays[..., 2:], position, footprint, ground_per_m[..., None], ground_log[..., None]),
        "level": (rays_ego[..., 2:], rays[..., 2:], footprint, ground_per_m[..., None], ground_log[..., None]),
    }
    return torch.cat(channels[frame], dim=-1).flatten(0, 1).permute(0, 3, 1, 2)


def ground_inverse_depth(rays: Tensor, T_ego_cam: Tensor) -> Tensor:
    """Return 1 / z-depth of a flat ground (ego z = 0) along each ray [B, N, h, w]; zero or less above the horizon.

    For a pinhole camera it is affine in the pixel, so it may be interpolated exactly.
    """
    height_m = T_ego_cam[..., 2, 3].clamp(min=_MIN_CAMERA_HEIGHT_M)[:, :, None, None]
    rise = torch.matmul(rays, T_ego_cam[:, :, None, 2, :3, None])[..., 0]  # z of the ray in the ego frame
    return -rise / (height_m * rays[..., 2].clamp(min=_MIN_RAY_Z))


def canonical_log_scale(rays: Tensor) -> Tensor:
    """Return, per camera [B, N], the log of its focal length over the canonical camera's, both in network pixels.

    A thing that is `n` pixels large lies twice as far for a camera with twice the focal length: depth over focal
    length is what a picture can show. The focal length is read off neighbouring rays, on the plane z = 1, where it is
    the same for all pixels of a pinhole camera. Other lenses give their mean (geometric) over the rays that meet that
    plane in front of the camera: a cell that the lens does not reach, or that looks sideways, has no say.

    Args:
        rays: unit rays in the camera frame of the stride-8 cells [B, N, h, w, 3].

    Source: the canonical camera of Metric3D (arXiv 2307.10984), read off rays instead of intrinsics [O].
    """
    meets = rays[..., 2] > _MIN_RAY_Z  # False on NaN
    plane = torch.where(meets[..., None], rays[..., :2] / rays[..., 2:].clamp(min=_MIN_RAY_Z), 0.0)
    steps = torch.cat((_neighbour_distance(plane, dim=3), _neighbour_distance(plane, dim=2)), dim=2)
    known = torch.cat((_with_next(meets, dim=3), _with_next(meets, dim=2)), dim=2)
    share = known.to(steps.dtype).mean(dim=(2, 3)).clamp(min=1e-6)  # 1 for any pinhole camera
    return -math.log(CANONICAL_FOCAL_CELLS) - torch.where(known, torch.log(steps), 0.0).mean(dim=(2, 3)) / share


def cell_directions(rays: Tensor, T_ego_cam: Tensor, n_rows: int, n_columns: int) -> Tensor:
    """Return where each cell of a coarser grid looks, unit vectors in the ego frame [B, N, n_rows, n_columns, 3].

    Args:
        rays: unit rays in the camera frame [B, N, h, w, 3]; h and w are multiples of `n_rows` and `n_columns`.
    """
    B, N, h, w, _ = rays.shape
    blocks = rays.reshape(B * N * n_rows, h // n_rows, n_columns, w // n_columns, 3).mean(dim=(1, 3))
    middle = blocks / blocks.square().sum(-1, keepdim=True).clamp(min=1e-10).sqrt()
    return _rotated(middle.reshape(B, N, n_rows, n_columns, 3), T_ego_cam)


def _rotated(rays: Tensor, T_ego_cam: Tensor) -> Tensor:
    """Return the rays [B, N, h, w, 3] in the ego frame."""
    B, N, h, w, _ = rays.shape
    rotation = T_ego_cam[..., :3, :3]
    return torch.matmul(rays.reshape(B, N, h * w, 3), rotation.transpose(-1, -2)).reshape(B, N, h, w, 3)


def _neighbour_distance(rays: Tensor, dim: int) -> Tensor:
    """Return the chord to the next ray along `dim` [B, N, h, w]; the last cell repeats the one before."""
    n = rays.shape[dim]
    chord = (rays.narrow(dim, 1, n - 1) - rays.narrow(dim, 0, n - 1)).square().sum(-1)
    chord = torch.cat((chord, chord.narrow(dim, n - 2, 1)), dim=dim)
    return chord.clamp(min=1e-10).sqrt()


def _with_next(cells: Tensor, dim: int) -> Tensor:
    """Return where a cell and the next one along `dim` both count, bool, laid out as `_neighbour_distance`."""
    n = cells.shape[dim]
    both = cells.narrow(dim, 1, n - 1) & cells.narrow(dim, 0, n - 1)
    return torch.cat((both, both.narrow(dim, n - 2, 1)), dim=dim)


class RayConditioning(nn.Module):
    """Add an embedding of the rays to the encoder's maps at strides 8, 16 and 32."""

    def __init__(self, channels: tuple[int, ...], geometry_channels: int, frame: RayFrame) -> None:
        super().__init__()
        self.frame: RayFrame = frame
        self.embed = nn.Sequential(
            nn.Conv2d(N_RAY_FEATURES[frame], geometry_channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(geometry_channels, geometry_channels, 1),
            nn.ReLU(inplace=True),
        )
        self.project = nn.ModuleList(nn.Conv2d(geometry_channels, c, 1) for c in channels[1:])

    def forward(self, maps: tuple[Tensor, ...], rays: Tensor, T_ego_cam: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(rays.device.type, enabled=False):
            features = ray_features(rays.float(), T_ego_cam.float(), self.frame)
        geometry = self.embed(features.to(maps[0].dtype))
        conditioned = [maps[0]]
        for project, image_map in zip(self.project, maps[1:], strict=True):
            conditioned.append(image_map + project(geometry))
            geometry = F.avg_pool2d(geometry, 2)
        return tuple(conditioned)
