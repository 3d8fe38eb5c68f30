"""Distilling a teacher into metric depth bins: CKD-A, -B, -Bn (distillation.md, D4 and D5), crossed terms X1, X2 (D6).

Our design [O], inspired by arXiv 2512.08700 (its equations are not available to us): the teacher says how
probability is spread over the bins, the LiDAR says where the bins lie.

Where p_T comes from: a frozen bin head on the teacher's features (A), its aligned metric depth (B, `assign_to_bins`),
or its relative depth alone (Bn, `assign_scale_free`).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from surround_depth.errors import ConfigError
from surround_depth.losses.masked import Term, at_least_float32, masked_mean
from surround_depth.losses.supervised import Pool, silog

Assignment = Literal["twohot", "gauss"]
BinMean = Literal["arithmetic", "geometric"]
Centers = Literal["sample", "image", "fixed"]
Variant = Literal["A", "B", "Bn"]

_FAR_SHARE, _NEAR_SHARE = 0.02, 0.98  # of an image's inverse depths: what counts as its far and its near end
_LEAST_SPREAD = 1e-6  # relative; below it a float32 image is flat


def check_variant(variant: Variant, centers: Centers, *, x2: bool) -> None:
    """Refuse bins with which the variant, or X2 beside it, means nothing (D5, D6).

    Args:
        centers: which bins the student has, `models.config.BinConfig.centers`.
        x2: whether X2 is asked for.

    Raises:
        ConfigError: Bn without one set of centers per image; X2 without teacher's centers that are not the student's.
    """
    if variant == "Bn" and centers != "image":
        raise ConfigError(
            f"CKD-Bn spreads each image over all bins, so each image needs its own; student.bins.centers is "
            f"{centers!r}, expected 'image'"
        )
    if x2 and (variant == "Bn" or (variant == "B" and centers != "fixed")):
        raise ConfigError(
            f"X2 needs a teacher with centers of its own: CKD-{variant} with student.bins.centers {centers!r} has "
            "none; set the weight of X2 to 0, or take CKD-A, or CKD-B with centers 'fixed'"
        )


def assign_to_bins(
    depth_m: Tensor, edges_m: Tensor, centers_m: Tensor, assign: Assignment, sigma: float = 1.0
) -> Tensor:
    """Return the teacher's bin probabilities p_T [B, N, M, h, w] for its metric depth. No gradient.

    `twohot`: linear weights, in log depth, on the two neighbouring centers (all on the end bin beyond the ends).
    `gauss`: `p_k ∝ Delta_k exp(-(ln d - ln c_k)^2 / (2 (sigma Dbar)^2))`, `Delta_k` the log width of bin k and
    `Dbar` the mean log width.

    Args:
        depth_m: aligned teacher depth d_A [B, N, h, w], positive everywhere.
        edges_m, centers_m: [B, N, M + 1], [B, N, M]; taken under stop-gradient.

    Source: D5 [O]. Hand-worked in tests/losses/test_bin_distillation.py.
    """
    with torch.no_grad():
        log_depth = torch.log(depth_m.float())[:, :, None]  # [B, N, 1, h, w]
        log_centers = torch.log(centers_m.float())[..., None, None]  # [B, N, M, 1, 1]
        if assign == "twohot":
            return _two_hot(log_depth, log_centers)
        log_edges = torch.log(edges_m.float())
        log_widths = (log_edges[..., 1:] - log_edges[..., :-1])[..., None, None]
        mean_width = (log_edges[..., -1:] - log_edges[..., :1])[..., None, None] / centers_m.shape[-1]
        deviation = (log_depth - log_centers) / (sigma * mean_width)
        return torch.softmax(torch.log(log_widths) - 0.5 * deviation.square(), dim=2)


def _two_hot(log_depth: Tensor, log_centers: Tensor) -> Tensor:
    log_depth = log_depth.maximum(log_centers[:, :, :1]).minimum(log_centers[:, :, -1:])
    gaps = log_centers[:, :, 1:] - log_centers[:, :, :-1]
    # the hat function of center k rises over gap k-1 and falls over gap k; outside the ends it stays at 1
    far = torch.full_like(gaps[:, :, :1], math.inf)
    offset = log_depth - log_centers
    rising = 1.0 + offset / torch.cat((far, gaps), dim=2)
    falling = 1.0 - offset / torch.cat((gaps, far), dim=2)
    return rising.minimum(falling).clamp(min=0.0)


def assign_scale_free(inverse_depth: Tensor, mask: Tensor, n_bins: int, sigma: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return (p_T [B, N, M, h, w], the mask left) of a relative teacher that was never aligned: CKD-Bn. No gradient.

    `u = clip((r_98 - r) / (r_98 - r_2), 0, 1)` with the percentiles of the image over the mask, and
    `p_k ∝ exp(-(M u - (k - 1/2))^2 / (2 sigma^2))`, k from 1: unchanged under `r -> a r + b`, a > 0. So the bins of
    each image share out its own range, and where that lies in metres is for X1 to say.

    Args:
        inverse_depth: r [B, N, h, w], large = near; NaN allowed outside the mask (p_T is then that of the far end).
        mask: m_kd, bool [B, N, h, w]. Images in which r is flat (or the mask empty) say nothing: they leave it.
        sigma: in bins.

    Source: D5 [O].
    """
    with torch.no_grad():
        r = at_least_float32(inverse_depth)
        ordered = torch.where(mask, r, math.inf).flatten(2).sort(dim=-1).values
        count = mask.flatten(2).sum(dim=-1)
        far, near = _percentile(ordered, count, _FAR_SHARE), _percentile(ordered, count, _NEAR_SHARE)
        says_something = near - far > _LEAST_SPREAD * near.abs().maximum(far.abs())
        spread = torch.where(says_something, near - far, 1.0)[..., None, None]
        u = ((near[..., None, None] - r) / spread).clamp(0.0, 1.0).nan_to_num(nan=1.0)[:, :, None]
        middles = torch.arange(n_bins, device=r.device, dtype=r.dtype)[:, None, None] + 0.5
        probabilities = torch.softmax(-0.5 * ((n_bins * u - middles) / sigma).square(), dim=2)
        return probabilities, mask & says_something[..., None, None]


def _percentile(ordered: Tensor, count: Tensor, share: float) -> Tensor:
    """Return numpy's (linear) percentile of the first `count` [B, N] of the rising values [B, N, P]; 0 of none."""
    last = (count - 1).clamp(min=0)
    position = share * last.to(ordered.dtype)
    below = position.long()
    low = ordered.gather(-1, below[..., None])[..., 0]
    high = ordered.gather(-1, (below + 1).minimum(last)[..., None])[..., 0]
    return torch.where(count > 0, low + (position - below) * (high - low), 0.0)


def resize_probabilities(probabilities: Tensor, size: tuple[int, int]) -> Tensor:
    """Return bin probabilities [B, N, M, h', w'] on another grid [B, N, M, h, w], summing to 1. No gradient. D4.

    Bilinear with half-pixel centres, as probabilities: on an edge the result keeps both depths apart, where a mean of
    depths or of logits would invent a third. Cells with NaN or no mass weigh nothing; where nothing else is near, the
    result is 0, and the caller's mask must leave it out.
    """
    with torch.no_grad():
        p = torch.where(probabilities.isfinite(), at_least_float32(probabilities), 0.0)
        B, N, M = p.shape[:3]
        resized = F.interpolate(p.flatten(0, 1), size, mode="bilinear").reshape(B, N, M, *size)
        return resized / resized.sum(dim=2, keepdim=True).clamp(min=torch.finfo(p.dtype).tiny)


def bin_divergence(teacher: Tensor, student_logits: Tensor, mask: Tensor, tau: float = 1.0) -> Term:
    """Return `tau^2 KL(p_T^(tau) || p_S^(tau))`, mean over the mask, with `p^(tau) = p^(1/tau) / sum`. D4, D5 [O].

    The gradient reaches the student only; tau^2 keeps its size. Student logits that are log probabilities with a floor
    (`models.depth_bins.mixed_with_ground`: 1e-8) want tau <= 2: at 4 the floor of 64 bins is two fifths of all mass.

    Args:
        teacher: p_T [B, N, M, h, w], sums of 1 inside the mask (`resize_probabilities`); NaN allowed outside.
        student_logits: [B, N, M, h, w].
        mask: m_kd, bool [B, N, h, w].
    """
    inside = mask[:, :, None]
    p = torch.where(inside, at_least_float32(teacher.detach()), 0.0)
    if tau != 1.0:
        p = p.pow(1.0 / tau)
        p = p / p.sum(dim=2, keepdim=True).clamp(min=torch.finfo(p.dtype).tiny)
    log_student = torch.log_softmax(torch.where(inside, at_least_float32(student_logits), 0.0) / tau, dim=2)
    divergence = (torch.xlogy(p, p) - p * log_student).sum(dim=2)
    return masked_mean(tau**2 * divergence, mask)


def crossed_centers(
    teacher: Tensor, centers_m: Tensor, truth_m: Tensor, mask: Tensor, mean: BinMean, pool: Pool = "sample"
) -> Term:
    """Return X1: SILog of `sum_k sg[p_T,k] c_S,k` against the truth; the gradient reaches the centers only. D6 [O].

    The sum is the student's own mean: of the centers, or of their logarithms (`models.depth_bins.decode_depth`).

    Args:
        teacher: p_T [B, N, M, h, w].
        centers_m: the student's c_S [B, N, M].
        truth_m, mask: LiDAR on the full grid [B, N, H, W]; NaN allowed outside the mask.
    """
    return silog(_mean_depth(teacher.detach(), centers_m, truth_m.shape[-2:], mean), truth_m, mask, pool)


def crossed_probabilities(
    student_logits: Tensor, centers_m: Tensor, truth_m: Tensor, mask: Tensor, mean: BinMean, pool: Pool = "sample"
) -> Term:
    """Return X2: SILog of `sum_k p_S,k sg[c_T,k]` against the truth; the gradient reaches the probabilities only. D6.

    [O], as X1.

    Args:
        student_logits: [B, N, M, h, w]; softmax over M gives p_S.
        centers_m: the teacher's c_T [B, N, M]; with CKD-B and fixed bins the student's own, which are the teacher's.
        truth_m, mask: m_gt and its LiDAR on the full grid [B, N, H, W]; NaN allowed outside the mask.
        mean: as in X1.
    """
    probabilities = torch.softmax(at_least_float32(student_logits), dim=2)
    return silog(_mean_depth(probabilities, centers_m.detach(), truth_m.shape[-2:], mean), truth_m, mask, pool)


def _mean_depth(probabilities: Tensor, centers_m: Tensor, size: tuple[int, ...], mean: BinMean) -> Tensor:
    """Return the depth [B, N, H, W] that probabilities and centers make, resized as logarithm where the mean is one."""
    centers = at_least_float32(centers_m)
    values = torch.log(centers) if mean == "geometric" else centers
    coarse = torch.einsum("bnkhw,bnk->bnhw", at_least_float32(probabilities), values)
    full = F.interpolate(coarse, tuple(size), mode="bilinear")
    return torch.exp(full) if mean == "geometric" else full
