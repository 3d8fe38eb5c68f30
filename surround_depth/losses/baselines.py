"""What others distil, under the same roof: responses, features, TIE-KD, RKD (distillation.md, D14).

Each is a term beside the supervised loss of the same student. What is whose: [C] where a repository is named, else the
published idea in our words. The teacher never has a gradient.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from surround_depth.losses.masked import Term, at_least_float32, masked_mean
from surround_depth.losses.supervised import Pool, l1, silog
from surround_depth.losses.view_relation import pool_tokens, structure_relation

Density = Literal["published", "log"]
TIE_SIGMA_M = 0.5
"""What TIE-KD's code uses; the sigma in its configs never reaches the loss."""
_TIE_LEAST_DENSITY, _TIE_NO_DENSITY = 1e-16, -1000.0
_TIE_EPS = 1e-7
_TIE_SCALE, _TIE_DENSITY_SHARE = 10.0, 0.1
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2  # of metres too: TIE-KD does not scale depth
_SSIM_RADIUS, _SSIM_SIGMA = 5, 1.5  # 11 x 11


def kd_l1(depth_m: Tensor, teacher_m: Tensor, mask: Tensor) -> Term:
    """Return KD-L1: mean |d_S - d_T| in metres over m_kd, all [B, N, H, W]; NaN allowed outside the mask."""
    return l1(depth_m, teacher_m.detach(), mask)


def kd_silog(depth_m: Tensor, teacher_m: Tensor, mask: Tensor, pool: Pool = "sample") -> Term:
    """Return KD-SILog: `supervised.silog` against the teacher over m_kd; shapes as in `kd_l1`."""
    return silog(depth_m, teacher_m.detach(), mask, pool)


def fitnets(adapted: Tensor, teacher: Tensor, mask: Tensor) -> Term:
    """Return KD-FitNets: mean |A f_S - f_T / |f_T||^2 over pixels, the squares summed over channels.

    Args:
        adapted: the student's features through the adapter A [B, N, C, h, w], of free length: A learns it.
        teacher: [B, N, C, h, w], of the same size. NaN allowed outside the mask, as in `adapted`.
        mask: bool [B, N, h, w].

    Source: the idea of arXiv 1412.6550; the unit length of the target [O]. D14.
    """
    kept = mask[:, :, None]
    ours = torch.where(kept, at_least_float32(adapted), 0.0)
    theirs = torch.where(kept, at_least_float32(teacher.detach()), 0.0)
    return masked_mean((ours - F.normalize(theirs, dim=2, eps=1e-6)).square().sum(dim=2), mask)


def rkd(student: Tensor, teacher: Tensor, keep: Tensor) -> Term:
    """Return KD-RKD: distances and angles, 1 : 2, between the mean features of all cameras of the batch.

    Unlike VRKD's V2 every camera is compared with every other, neighbours or not, of the same sample or another. The
    count is of pairs; a camera with nothing kept is in none.

    Args:
        student, teacher: features [B, N, C, h, w]; channels and sizes may differ. NaN allowed where nothing is kept.
        keep: bool [B, N, H, W] of any size: camera alive, not own body.

    Source: arXiv 1904.05068, over pairs and triples of different cameras (its code also averages the zeros of a camera
    with itself). D14.
    """
    (ours, seen), (theirs, _) = (pool_tokens(maps, keep, (1, 1)) for maps in (student, teacher.detach()))
    alive = seen.reshape(1, -1)
    ours, theirs = (vectors.reshape(1, alive.shape[1], -1) for vectors in (ours, theirs))
    pairs = (alive[:, :, None] & alive[:, None]).triu(1)
    itself = torch.eye(alive.shape[1], dtype=torch.bool, device=alive.device)
    at_another = ~itself[:, :, None] & ~itself[:, None]  # the apex is neither leg
    return structure_relation(ours, theirs, pairs, pairs[:, None] & at_another & alive[:, :, None, None])


def tie(density: Term, structure: Term) -> Term:
    """Return KD-TIE of its two parts, `10 (0.1 KL + 0.9 (1 - SSIM))`; the count is of cells.

    Source: [C] HPC-Lab-KOREATECH/TIE-KD@989ec03e, as distillation.md 4.3 has it. Our addition: it stands beside the
    supervised loss, where theirs stands alone. D14.
    """
    value = _TIE_DENSITY_SHARE * density.value + (1.0 - _TIE_DENSITY_SHARE) * structure.value
    return Term(_TIE_SCALE * value, density.count)


def tie_density(
    logits: Tensor,
    centers_m: Tensor,
    teacher_m: Tensor,
    mask: Tensor,
    density: Density = "published",
    sigma_m: float = TIE_SIGMA_M,
) -> Term:
    """Return TIE-KD's divergence, mean over `mask` of `sum_k q_k ln(q_k / (p_k + 1e-7) + 1e-7)`, q of `density_map`.

    Args:
        logits: the student's [B, N, M, h, w], p = softmax over M.
        centers_m, teacher_m, density, sigma_m: as in `density_map`.
        mask: bool [B, N, h, w].

    Source: [C] as `tie`.
    """
    target = density_map(torch.where(mask, at_least_float32(teacher_m), 1.0), centers_m, density, sigma_m)
    p = torch.softmax(torch.where(mask[:, :, None], at_least_float32(logits), 0.0), dim=2)
    ratio = target / (p + _TIE_EPS)
    divergence = torch.where(p != 0, target * torch.log(ratio + _TIE_EPS), 0.0).sum(dim=2)
    return masked_mean(divergence, mask)


def density_map(teacher_m: Tensor, centers_m: Tensor, density: Density, sigma_m: float = TIE_SIGMA_M) -> Tensor:
    """Return TIE-KD's depth probability map [B, N, M, h, w] of a metric depth. No gradient.

    `published`: softmax over the densities N(c_k; d, sigma), those under 1e-16 as -1000. That is nearly flat over the
    centers within 8.5 sigma, and flat over *all* bins where there is none, which log-spaced bins meet far away.
    `log`: softmax over the log densities, the Gaussian that the name promises.

    Args:
        teacher_m: [B, N, h, w], finite.
        centers_m: [B, N, M], in metres.

    Source: [C] as `tie`; `log` [O].
    """
    with torch.no_grad():
        deviation = (at_least_float32(centers_m)[..., None, None] - at_least_float32(teacher_m)[:, :, None]) / sigma_m
        log_density = -0.5 * deviation.square()
        if density == "log":
            return torch.softmax(log_density, dim=2)
        densities = torch.exp(log_density) / (sigma_m * math.sqrt(2.0 * math.pi))
        return torch.softmax(torch.where(densities < _TIE_LEAST_DENSITY, _TIE_NO_DENSITY, densities), dim=2)


def tie_structure(depth_m: Tensor, teacher_m: Tensor, mask: Tensor) -> Term:
    """Return mean 1 - SSIM of two depth maps in metres over `mask`, all [B, N, H, W]; NaN allowed outside the mask.

    Windows of 11 x 11, Gaussian. What lies outside the mask is 0 in both maps, as their code has it outside the image.

    Source: [C] as `tie`: with it the absolute value of the covariance, by which a mirrored structure is as good.
    """
    # E[x^2] - E[x]^2 at 80 m leaves 6e-4 of noise in float32, beside a C2 of 9e-4, and far more where a GPU convolves
    # in TF32: this is the one loss in float64
    ours, theirs = (torch.where(mask, values.double(), 0.0) for values in (depth_m, teacher_m.detach()))
    moments = _gaussian_mean(torch.stack((ours, theirs, ours * ours, theirs * theirs, ours * theirs)))
    mean_ours, mean_theirs, square_ours, square_theirs, product = moments
    variances = (square_ours - mean_ours.square()).abs() + (square_theirs - mean_theirs.square()).abs()
    covariance = (product - mean_ours * mean_theirs).abs()
    similar = (2.0 * mean_ours * mean_theirs + _SSIM_C1) * (2.0 * covariance + _SSIM_C2)
    similarity = similar / ((mean_ours.square() + mean_theirs.square() + _SSIM_C1) * (variances + _SSIM_C2))
    term = masked_mean(1.0 - similarity, mask)
    return Term(term.value.to(at_least_float32(depth_m).dtype), term.count)


def _gaussian_mean(values: Tensor) -> Tensor:
    """Return the 11 x 11 Gaussian means of maps [..., H, W], zeros beyond the border."""
    offsets = torch.arange(-_SSIM_RADIUS, _SSIM_RADIUS + 1, dtype=values.dtype, device=values.device)
    window = torch.softmax(-0.5 * (offsets / _SSIM_SIGMA).square(), dim=0)
    images = values.reshape(-1, 1, *values.shape[-2:])
    rows = F.conv2d(images, window.reshape(1, 1, 1, -1), padding=(0, _SSIM_RADIUS))
    return F.conv2d(rows, window.reshape(1, 1, -1, 1), padding=(_SSIM_RADIUS, 0)).reshape(values.shape)
