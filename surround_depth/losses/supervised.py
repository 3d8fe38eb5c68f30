"""Losses against LiDAR: SILog and the Chamfer of bin centers (distillation.md, D2), L1, Laplace; sky, confidence."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from surround_depth.losses.masked import Term, at_least_float32, log_difference, masked_mean

Pool = Literal["sample", "image", "batch"]
MIN_PIXELS = 16
_VARIANCE_FOCUS = 0.85
_CONFIDENT_LOG_RATIO = math.log(1.25)
_LAPLACE_SCALE = (0.01, 10.0)
_POOLED_AXES: dict[Pool, tuple[int, ...]] = {"batch": (0, 1, 2, 3), "sample": (1, 2, 3), "image": (2, 3)}


def silog(depth_m: Tensor, truth_m: Tensor, mask: Tensor, pool: Pool = "sample") -> Term:
    """Return the scale-invariant log error, `10 sqrt(max(mean e^2 - 0.85 (mean e)^2, 1e-8))`, mean over pools.

    `pool: sample` takes mean e over all cameras of a sample, so a difference in scale between cameras counts as
    variance. Pools of fewer than 16 pixels are left out.

    Args:
        depth_m: [B, N, H, W], positive.
        truth_m: [B, N, H, W], NaN allowed outside the mask.
        mask: bool [B, N, H, W].

    Source: [C] BTS / AdaBins as in distillation.md 4.5; the pooling is [O]. D2.
    """
    axes = _POOLED_AXES[pool]
    e = log_difference(depth_m, truth_m, mask)
    n_pixels = mask.sum(dim=axes)
    n = n_pixels.clamp(min=1).float()
    spread = e.square().sum(dim=axes) / n - _VARIANCE_FOCUS * (e.sum(dim=axes) / n).square()
    # the root's gradient is infinite at zero error: clamp the radicand
    error = 10.0 * torch.sqrt(spread.clamp(min=1e-8))
    counted = n_pixels >= MIN_PIXELS
    return Term(masked_mean(error, counted).value, torch.where(counted, n_pixels, 0).sum())


def l1(depth_m: Tensor, truth_m: Tensor, mask: Tensor) -> Term:
    """Return mean |d - g| in metres over `mask` [B, N, H, W]: far pixels, which err by metres, decide it.

    `truth_m` may be NaN outside the mask.
    """
    d = torch.where(mask, at_least_float32(depth_m), 1.0)
    g = torch.where(mask, at_least_float32(truth_m), 1.0)
    return masked_mean((d - g).abs(), mask)


def log_l1(depth_m: Tensor, truth_m: Tensor, mask: Tensor) -> Term:
    """Return mean |ln d - ln g| over `mask` [B, N, H, W]: every pixel by its relative error. Near and far weigh alike.

    `truth_m` may be NaN outside the mask, and has no gradient.
    """
    return masked_mean(log_difference(depth_m, truth_m, mask).abs(), mask)


def laplace(confidence_logit: Tensor, depth_m: Tensor, truth_m: Tensor, mask: Tensor) -> Term:
    """Return the mean negative log likelihood `ln 2b + |e| / b` of `e = ln d - ln g` under a Laplace law.

    The scale b needs no output of its own. The confidence p is the probability that |e| < ln 1.25, and the law says
    that this is `1 - exp(-ln 1.25 / b)`; so `b = ln 1.25 / -ln(1 - p) = ln 1.25 / softplus(logit)`. The gradient
    reaches depth and confidence: a pixel that is not sure pulls less at its depth and pays `ln 2b` for it.

    b is kept within 0.01 (LiDAR on a pixel grid is no better) and 10 (p = 2 %). Beyond them, logits under -3.8 or over
    22.3, the depth still learns and the confidence does not: its own cross-entropy moves it back.

    Args:
        confidence_logit, depth_m: [B, N, H, W].
        truth_m, mask: [B, N, H, W]; NaN allowed outside the mask.

    Source: the likelihood is common; the link to the confidence is ours [O].
    """
    narrowest, widest = _LAPLACE_SCALE
    logit = torch.where(mask, at_least_float32(confidence_logit), 0.0)
    steepness = F.softplus(logit).clamp(_CONFIDENT_LOG_RATIO / widest, _CONFIDENT_LOG_RATIO / narrowest)
    per_b = steepness / _CONFIDENT_LOG_RATIO
    e = log_difference(depth_m, truth_m, mask)
    return masked_mean(math.log(2.0) - torch.log(per_b) + e.abs() * per_b, mask)


def center_chamfer(
    centers_m: Tensor, truth_m: Tensor, mask: Tensor, range_m: tuple[float, float], max_points: int = 4096
) -> Term:
    """Return the two-way Chamfer distance, in log depth, between each image's bin centers and its true depths.

    `mean_k min_i + mean_i min_k of (ln c_k - ln g_i)^2`, over evenly thinned points, mean over images with points.
    Centers beyond the range of the truth, which the canonical camera's bins have, are free.

    Args:
        range_m: nearest and farthest truth there can be.
        centers_m: [B, N, M].
        truth_m, mask: [B, N, H, W].

    Source: [C] AdaBins@0952d91e (there in metres, at most one image); log space and thinning [O]. D2.
    """
    distances = []
    for centers, truth, valid in zip(centers_m.flatten(0, 1), truth_m.flatten(0, 1), mask.flatten(0, 1), strict=True):
        points = truth[valid]
        if len(points) == 0:
            continue
        points = points[:: math.ceil(len(points) / max_points)]
        squared = (torch.log(centers.float())[:, None] - torch.log(points.float())[None, :]).square()  # [M, P]
        within = (centers >= range_m[0]) & (centers <= range_m[1])
        distances.append(masked_mean(squared.min(dim=1).values, within).value + squared.min(dim=0).values.mean())
    count = torch.tensor(len(distances), device=centers_m.device)
    return Term(torch.stack(distances).mean() if distances else centers_m.new_zeros(()), count)


def sky_distance(depth_m: Tensor, sky: Tensor, max_depth_m: float) -> Term:
    """Return the mean log distance of sky pixels from the far end of the range.

    The last bin thereby means "beyond range". Source: ours [O]. Shapes [B, N, H, W]; `sky` is bool.
    """
    far_m = torch.full_like(depth_m, max_depth_m)
    return masked_mean(-log_difference(depth_m, far_m, sky).clamp(max=0.0), sky)


def confidence_on_truth(confidence_logit: Tensor, depth_m: Tensor, truth_m: Tensor, mask: Tensor) -> Term:
    """Return the cross-entropy of the confidence against "this depth is within a factor 1.25 of the truth".

    The gradient reaches the confidence only. Source: ours [O]. Shapes [B, N, H, W].
    """
    hit = (log_difference(depth_m.detach(), truth_m, mask).abs() < _CONFIDENT_LOG_RATIO).float()
    return masked_mean(F.binary_cross_entropy_with_logits(confidence_logit.float(), hit, reduction="none"), mask)


def confidence_on_sky(confidence_logit: Tensor, sky: Tensor) -> Term:
    """Return the cross-entropy of the confidence against 0 on sky: nothing to measure there. Shapes [B, N, H, W]."""
    nothing = torch.zeros_like(confidence_logit, dtype=torch.float32)
    return masked_mean(F.binary_cross_entropy_with_logits(confidence_logit.float(), nothing, reduction="none"), sky)
