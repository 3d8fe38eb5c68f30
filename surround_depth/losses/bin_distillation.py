"""Distilling a relative teacher into metric depth bins: CKD-B (distillation.md, D5) and the crossed term X1 (D6).

Our design [O], inspired by arXiv 2512.08700 (its equations are not available to us): the teacher says how
probability is spread over the bins, the LiDAR says where the bins lie.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from surround_depth.losses.masked import Term, masked_mean
from surround_depth.losses.supervised import Pool, silog

Assignment = Literal["twohot", "gauss"]
BinMean = Literal["arithmetic", "geometric"]


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


def bin_divergence(teacher: Tensor, student_logits: Tensor, mask: Tensor) -> Term:
    """Return KL(p_T || p_S), mean over `mask` [B, N, h, w]; both distributions [B, N, M, h, w]. D5, tau = 1."""
    log_student = torch.log_softmax(student_logits.float(), dim=2)
    divergence = (torch.xlogy(teacher, teacher) - teacher * log_student).sum(dim=2)
    return masked_mean(divergence, mask)


def crossed_centers(
    teacher: Tensor, centers_m: Tensor, truth_m: Tensor, mask: Tensor, mean: BinMean, pool: Pool = "sample"
) -> Term:
    """Return X1: SILog of `sum_k sg[p_T,k] c_S,k` against the truth; the gradient reaches the centers only. D6.

    The sum is the student's own mean: of the centers, or of their logarithms (`models.depth_bins.decode_depth`).

    Args:
        teacher: p_T [B, N, M, h, w].
        centers_m: the student's c_S [B, N, M].
        truth_m, mask: LiDAR on the full grid [B, N, H, W]; H = s h with a whole s.
    """
    values = torch.log(centers_m.float()) if mean == "geometric" else centers_m.float()
    depth = torch.einsum("bnkhw,bnk->bnhw", teacher.detach(), values)
    full = torch.nn.functional.interpolate(depth, truth_m.shape[-2:], mode="bilinear")
    return silog(torch.exp(full) if mean == "geometric" else full, truth_m, mask, pool)
