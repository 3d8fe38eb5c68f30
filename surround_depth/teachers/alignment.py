"""Aligning a relative teacher to metres by sparse LiDAR (distillation.md, D3 [O])."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MIN_POINTS = 100
_HUBER_DELTA = 0.1
_HUBER_ROUNDS = 6


@dataclass(frozen=True)
class AffineFit:
    """Per image [B, N], float64: `1 / depth = scale r + shift`. Where not `usable`, scale is 0 and shift 1."""

    scale: Tensor
    shift: Tensor
    usable: Tensor


@torch.no_grad()
def fit_affine(relative: Tensor, lidar_m: Tensor, mask: Tensor) -> AffineFit:
    """Return the scale and shift that carry r to inverse metres.

    `min sum huber((s r + t - 1/g) / max(s r + t, 1/g))`, that is, relative error, by reweighted least squares from the
    unweighted fit. D3 divides by 1/g alone; then one point seen past an occluder at ten times its depth outweighs a
    hundred good ones, which spoilt every fourth image of a synthetic drive. Divided by the larger, no error exceeds 1.
    An image with fewer than 100 points, or whose best scale is not positive, is not usable.

    Args:
        relative: r [B, N, H, W].
        lidar_m: [B, N, H, W]; NaN allowed outside the mask.
        mask: bool [B, N, H, W]: LiDAR pixels where the teacher is valid too.

    Source: D3 with the change above [O]. Hand-worked in tests/teachers/test_alignment.py.
    """
    r = torch.where(mask, relative, 0.0).double().flatten(2)
    inverse_per_m = 1.0 / torch.where(mask, lidar_m, 1.0).double().flatten(2)
    counted = mask.flatten(2).double()
    scale, shift, determined = _weighted_fit(r, inverse_per_m, counted)
    for _ in range(_HUBER_ROUNDS):
        fitted_per_m = scale[..., None] * r + shift[..., None]
        nearer_per_m = torch.maximum(fitted_per_m, inverse_per_m)
        error = (fitted_per_m - inverse_per_m).abs() / nearer_per_m
        weights = counted * (_HUBER_DELTA / error.clamp(min=_HUBER_DELTA)) / nearer_per_m.square()
        scale, shift, determined = _weighted_fit(r, inverse_per_m, weights)
    usable = determined & (mask.flatten(2).sum(-1) >= MIN_POINTS) & (scale > 0)
    return AffineFit(torch.where(usable, scale, 0.0), torch.where(usable, shift, 1.0), usable)


def _weighted_fit(x: Tensor, y: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Solve `min sum w (s x + t - y)^2` per image; the last value says where there is a solution."""
    total = weights.sum(-1).clamp(min=1e-30)
    mean_x, mean_y = (weights * x).sum(-1) / total, (weights * y).sum(-1) / total
    centred = x - mean_x[..., None]
    variance = (weights * centred.square()).sum(-1) / total
    determined = variance > 1e-12 * (mean_x.square() + 1e-12)  # a flat image (r constant) has no scale
    scale = (weights * centred * y).sum(-1) / total / torch.where(determined, variance, 1.0)
    return scale, mean_y - scale * mean_x, determined


@torch.no_grad()
def aligned_depth(relative: Tensor, fit: AffineFit, min_depth_m: float, max_depth_m: float) -> Tensor:
    """Return d_A = 1 / clamp(s r + t, 1/dmax, 1/dmin) [B, N, H, W]; positive and finite for any finite r."""
    # float64: a large shift must not eat the digits of far depths
    inverse_per_m = fit.scale[..., None, None] * relative.double() + fit.shift[..., None, None]
    return (1.0 / inverse_per_m.clamp(1.0 / max_depth_m, 1.0 / min_depth_m)).float()
