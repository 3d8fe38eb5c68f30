"""Calibration as features: where each pixel looks, from where, and how much of the world it covers.

The network is told rays and poses, never lenses, intrinsics or camera names, so one student serves any rig.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_RAY_FEATURES = 11
RAY_STRIDE = 8
_MIN_CAMERA_HEIGHT_M = 0.2
_MIN_RAY_Z = 0.05
GROUND_RANGE_M = (0.5, 200.0)
_TYPICAL_STEP_RAD = 0.02
"""Angle between neighbouring stride-8 rays of a 70 degree camera 448 px wide: centres the footprint feature on zero."""


def ray_features(rays: Tensor, T_ego_cam: Tensor) -> Tensor:
    """Return the geometric description of every stride-8 cell, float32 [B*N, 11, h, w].

    Channels: the ray in the ego frame (3), the ray's z in the camera frame (range to z-depth), the camera's
    position in the ego frame (3), the log angular footprint of the cell along x and y (focal length, without naming
    a lens), and the depth a flat ground (ego z = 0) would have here, as inverse depth and as log depth.

    Args:
        rays: unit rays in the camera frame [B, N, h, w, 3].
        T_ego_cam: [B, N, 4, 4].

    Source: ours. Hand-worked in tests/models/test_ray_conditioning.py.
    """
    B, N, h, w, _ = rays.shape
    rotation, position_m = T_ego_cam[..., :3, :3], T_ego_cam[..., :3, 3]
    rays_ego = torch.matmul(rays.reshape(B, N, h * w, 3), rotation.transpose(-1, -2)).reshape(B, N, h, w, 3)
    step_x = _neighbour_distance(rays, dim=3)
    step_y = _neighbour_distance(rays, dim=2)
    footprint = torch.log(torch.stack((step_x, step_y), dim=-1) / _TYPICAL_STEP_RAD)

    near_m, far_m = GROUND_RANGE_M
    ground_per_m = ground_inverse_depth(rays, T_ego_cam).clamp(1.0 / far_m, 1.0 / near_m)
    middle = 0.5 * (math.log(near_m) + math.log(far_m))
    ground_log = -torch.log(ground_per_m) - middle
    ray_z = rays[..., 2]

    position = (position_m / 2.0)[:, :, None, None, :].expand(B, N, h, w, 3)
    features = torch.cat(
        (rays_ego, ray_z[..., None], position, footprint, ground_per_m[..., None], ground_log[..., None]), dim=-1
    )
    return features.flatten(0, 1).permute(0, 3, 1, 2)


def ground_inverse_depth(rays: Tensor, T_ego_cam: Tensor) -> Tensor:
    """Return 1 / z-depth of a flat ground (ego z = 0) along each ray [B, N, h, w]; zero or less above the horizon.

    For a pinhole camera it is affine in the pixel, so it may be interpolated exactly.
    """
    height_m = T_ego_cam[..., 2, 3].clamp(min=_MIN_CAMERA_HEIGHT_M)[:, :, None, None]
    rise = torch.matmul(rays, T_ego_cam[:, :, None, 2, :3, None])[..., 0]  # z of the ray in the ego frame
    return -rise / (height_m * rays[..., 2].clamp(min=_MIN_RAY_Z))


def _neighbour_distance(rays: Tensor, dim: int) -> Tensor:
    """Return the chord to the next ray along `dim` [B, N, h, w]; the last cell repeats the one before."""
    n = rays.shape[dim]
    chord = (rays.narrow(dim, 1, n - 1) - rays.narrow(dim, 0, n - 1)).square().sum(-1)
    chord = torch.cat((chord, chord.narrow(dim, n - 2, 1)), dim=dim)
    return chord.clamp(min=1e-10).sqrt()


class RayConditioning(nn.Module):
    """Add an embedding of the rays to the encoder's maps at strides 8, 16 and 32."""

    def __init__(self, channels: tuple[int, ...], geometry_channels: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(N_RAY_FEATURES, geometry_channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(geometry_channels, geometry_channels, 1),
            nn.ReLU(inplace=True),
        )
        self.project = nn.ModuleList(nn.Conv2d(geometry_channels, c, 1) for c in channels[1:])

    def forward(self, maps: tuple[Tensor, ...], rays: Tensor, T_ego_cam: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(rays.device.type, enabled=False):
            features = ray_features(rays.float(), T_ego_cam.float())
        geometry = self.embed(features.to(maps[0].dtype))
        conditioned = [maps[0]]
        for project, image_map in zip(self.project, maps[1:], strict=True):
            conditioned.append(image_map + project(geometry))
            geometry = F.avg_pool2d(geometry, 2)
        return tuple(conditioned)
