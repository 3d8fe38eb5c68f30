"""Inputs of a student as no street gives them: blind and dazzled images, dead cameras, strange lenses and mountings."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CAMERAS, HEIGHT_PX, WIDTH_PX = 3, 96, 160
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""images [1, N, H, W, 3] uint8, rays [1, N, H/8, W/8, 3], T_ego_cam [1, N, 4, 4], camera_valid [1, N]."""


def extreme_inputs() -> dict[str, Inputs]:
    """Return each case by name; the first is an ordinary one."""
    smooth, usual, mounted, living = smooth_images(), pinhole_rays(35.0), poses(1.5), torch.ones(1, CAMERAS)
    v, u = torch.meshgrid(torch.arange(HEIGHT_PX), torch.arange(WIDTH_PX), indexing="ij")
    checkerboard = (((u + v) % 2) * 255).to(torch.uint8)[None, None, :, :, None].expand(smooth.shape)
    noise = torch.randint(0, 256, smooth.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return {
        "usual": (smooth, usual, mounted, living),
        "noise": (noise, usual, mounted, living),
        "black": (torch.zeros_like(smooth), usual, mounted, living),
        "white": (torch.full_like(smooth, 255), usual, mounted, living),
        "checkerboard": (checkerboard, usual, mounted, living),
        "one_dead": (smooth, usual, mounted, torch.tensor([[1.0, 0.0, 1.0]])),
        "all_dead": (smooth, usual, mounted, torch.zeros(1, CAMERAS)),
        "fisheye": (smooth, fisheye_rays(95.0), mounted, living),
        "telephoto": (smooth, pinhole_rays(3.0), mounted, living),
        "low": (smooth, usual, poses(0.2), living),
        "high": (smooth, usual, poses(4.0), living),
    }


def smooth_images() -> Tensor:
    """Return random images without a scale of their own finer than a few cells."""
    coarse = torch.randint(0, 256, (CAMERAS, 3, 4, 6), generator=torch.Generator().manual_seed(0)).float()
    fine = torch.nn.functional.interpolate(coarse, (HEIGHT_PX, WIDTH_PX), mode="bicubic").clamp(0, 255)
    return fine.to(torch.uint8).permute(0, 2, 3, 1)[None]


def pinhole_rays(half_angle_deg: float) -> Tensor:
    """Return unit rays whose horizontal field of view is twice `half_angle_deg`."""
    u, v = _offsets_px()
    focal_px = WIDTH_PX / 2 / math.tan(math.radians(half_angle_deg))
    rays = torch.stack((u / focal_px, v / focal_px, torch.ones_like(u)), dim=-1)
    return _all_cameras(rays / rays.norm(dim=-1, keepdim=True))


def fisheye_rays(half_angle_deg: float) -> Tensor:
    """Return unit rays of an equidistant lens; beyond 90 degrees they look backwards (z < 0)."""
    u, v = _offsets_px()
    radius = torch.hypot(u, v).clamp(min=1e-6)
    angle = radius / (WIDTH_PX / 2) * math.radians(half_angle_deg)
    return _all_cameras(torch.stack((u / radius * angle.sin(), v / radius * angle.sin(), angle.cos()), dim=-1))


def poses(height_m: float) -> Tensor:
    """Return cameras on a circle of 1 m that look outwards, at this height over the road."""
    T_ego_cam = torch.eye(4).repeat(1, CAMERAS, 1, 1)
    looks_ahead = torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    for i in range(CAMERAS):
        c, s = math.cos(2 * math.pi * i / CAMERAS), math.sin(2 * math.pi * i / CAMERAS)
        T_ego_cam[0, i, :3, :3] = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ looks_ahead
        T_ego_cam[0, i, :3, 3] = torch.tensor([c, s, height_m])
    return T_ego_cam


def _offsets_px() -> tuple[Tensor, Tensor]:
    v, u = torch.meshgrid(
        torch.arange(HEIGHT_PX // 8) * 8 + 4.0 - HEIGHT_PX / 2,
        torch.arange(WIDTH_PX // 8) * 8 + 4.0 - WIDTH_PX / 2,
        indexing="ij",
    )
    return u, v


def _all_cameras(rays: Tensor) -> Tensor:
    return rays.expand(1, CAMERAS, *rays.shape)
