"""Distilling relative depth across contexts (distillation.md, D8 and D10): P2's terms on a metric student.

[V] arXiv 2502.19204 v2, Eq. 7-9 and its weights; features as in arXiv 2401.10891, gradients as in arXiv 1907.01341,
Eq. 11, dropped pixels as in arXiv 2406.09414. [O] The student's inverse depth is compared with a relative teacher's r,
2 x 2 patches, and where features are taken. These terms say nothing about scale, and outputs can grow without bound
under them alone (2.2): a run has a supervised term beside them.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from surround_depth.config import StrictModel
from surround_depth.errors import DataError
from surround_depth.losses.masked import Term, at_least_float32, masked_mean
from surround_depth.losses.normalisation import Norm, global_norm, normalised_difference


class CrossContextConfig(StrictModel):
    """P2's terms; the inner weights are the published ones (Eq. 9)."""

    weight: float = Field(default=0.0, ge=0.0)
    """Of all of them together, ramped in; 0.5 in D15."""
    shared: float = Field(default=1.0, ge=0.0)
    """Shared context: teacher and student saw the same picture."""
    local_global: float = Field(default=0.5, ge=0.0)
    """The teacher saw patches, the student all of it."""
    feature: float = Field(default=1.0, ge=0.0)
    gradient: float = Field(default=2.0, ge=0.0)
    shared_norm: Norm = "hybrid"
    local_global_norm: Literal["global", "hybrid", "local"] = "hybrid"
    """`none`, which P2 shows to fail here (Table 1), would need metres for every piece of a picture."""
    alpha: float = Field(default=0.85, gt=-1.0, le=1.0)
    """Features that agree this well are left alone."""
    drop_top: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the pixels of an image that is left out: those with the largest losses."""


def shared_context(depth_m: Tensor, target_r: Tensor, mask: Tensor, norm: Norm, drop_top: float) -> Term:
    """Return L_sc: the mean |N(1/d) - N(r)| where teacher and student saw the same window.

    Args:
        depth_m: the student's depth [B, N, H, W], positive.
        target_r: the teacher's inverse depth [B, N, H, W] in any affine frame; for `none` in 1/m.
        mask: bool [B, N, H, W]: camera alive, not own body, teacher valid. NaN allowed outside it.
        drop_top: share of an image's pixels that is left out, those with the largest losses.

    Source: Eq. 7 [V], D8. Hand-worked in tests/losses/test_cross_context.py.
    """
    difference = normalised_difference(_inverse(depth_m, mask), target_r, mask, norm)
    return masked_mean(difference, without_top(difference, mask, drop_top))


def local_global(
    depth_m: Tensor,
    patches_r: Tensor,
    patch_valid: Tensor,
    windows: Tensor,
    mask: Tensor,
    norm: Norm,
    drop_top: float,
) -> Term:
    """Return L_lg: the student's whole picture, cut into windows, against a teacher that saw each window alone.

    Every patch has its own scale and shift, and its own share of dropped pixels.

    Args:
        depth_m: the student's depth of the whole picture [B, N, H, W], positive.
        patches_r: the teacher's inverse depth [B, N, P, h, w], pixel for pixel that of the windows.
        patch_valid: bool [B, N, P, h, w]; NaN allowed where False.
        windows: int64 [P, 4]: top, left, height, width in pixels of the student's grid, all h x w.
        mask: bool [B, N, H, W]: camera alive, not own body.

    Raises:
        DataError: a window of another size than the patches, or one that leaves the picture.

    Source: Eq. 8 [V]; the patches are ours [O], D8.
    """
    depth_patches = _cut(depth_m, windows, patches_r).flatten(1, 2)
    compared = (_cut(mask, windows, patches_r) & patch_valid).flatten(1, 2)
    return shared_context(depth_patches, patches_r.flatten(1, 2), compared, norm, drop_top)


def feature_cosine(student: Tensor, teacher: Tensor, mask: Tensor, alpha: float = 0.85) -> Term:
    """Return L_feat: the mean of 1 - cos over the cells whose cosine is below `alpha`.

    Args:
        student: features [B, N, D, h, w], brought to the teacher's width by an adapter.
        teacher: features [B, N, D, h, w], brought to the student's grid. No gradient.
        mask: bool [B, N, h, w]. NaN allowed outside it.

    Source: arXiv 2401.10891 as arXiv 2502.19204 uses it [V]; the mean is over the cells that count (D10) [O].
    """
    counted = mask[:, :, None]
    f_student = torch.where(counted, at_least_float32(student), 1.0)
    f_teacher = torch.where(counted, teacher.detach().to(f_student.dtype), 1.0)
    cosine = F.cosine_similarity(f_student, f_teacher, dim=2, eps=1e-6)
    return masked_mean(1.0 - cosine, mask & (cosine < alpha))


def gradient_match(depth_m: Tensor, target_r: Tensor, mask: Tensor, n_scales: int = 4) -> Term:
    """Return L_grad: `(1/M) sum_k sum_i |dx R_i^k| + |dy R_i^k|` with `R = N(1/d) - N(r)`, N the global norm.

    Scale k is every 2^k-th pixel, from the first. A difference counts where both of its pixels are in the mask; M is
    the number of pixels in the mask at full size, for all scales, so that coarse ones weigh less. (The fine-tuning code
    that circulates for MiDaS divides each scale by its own number.)

    Args:
        depth_m, target_r, mask: as in `shared_context`.

    Source: arXiv 1907.01341, Eq. 11, as distillation.md 2.1 has it; D10.
    """
    residual = global_norm(_inverse(depth_m, mask), mask) - global_norm(target_r.detach(), mask)
    total = residual.new_zeros(())
    for k in range(n_scales):
        at_scale, seen = residual[..., :: 2**k, :: 2**k], mask[..., :: 2**k, :: 2**k]
        for axis in (-1, -2):
            both = _neighbours(seen, axis)
            step = torch.where(both[0] & both[1], at_scale.diff(dim=axis), 0.0)
            total = total + step.abs().sum()
    count = mask.sum()
    return Term(total / count.clamp(min=1), count)


@torch.no_grad()
def without_top(losses: Tensor, mask: Tensor, share: float) -> Tensor:
    """Return the mask [B, N, H, W] without the `floor(share n)` pixels of each image that have the largest losses.

    Args:
        losses: per pixel [B, N, H, W], finite.
        mask: bool [B, N, H, W]; n is its count in the image.

    Source: arXiv 2406.09414 drops 10 % of each pseudo-labelled sample [V]; D10.
    """
    rows, seen = losses.flatten(2), mask.flatten(2)
    n_most = int(share * rows.shape[-1])
    if n_most == 0:
        return mask
    worst = rows.masked_fill(~seen, -torch.inf).topk(n_most, dim=-1).indices
    n_dropped = (share * seen.sum(dim=-1, keepdim=True).double()).long()
    stays = torch.arange(n_most, device=rows.device) >= n_dropped
    return seen.scatter(-1, worst, stays & seen.gather(-1, worst)).reshape(mask.shape)


def _inverse(depth_m: Tensor, mask: Tensor) -> Tensor:
    """1 / d in the mask; a NaN outside it gets no gradient."""
    return 1.0 / torch.where(mask, at_least_float32(depth_m), 1.0)


def _cut(whole: Tensor, windows: Tensor, patches: Tensor) -> Tensor:
    """Return the windows of [B, N, H, W] as [B, N, P, h, w]."""
    height_px, width_px = whole.shape[-2:]
    cut = []
    for top, left, height, width in windows.tolist():
        inside = 0 <= top <= height_px - height and 0 <= left <= width_px - width
        if not inside or (height, width) != tuple(patches.shape[-2:]):
            raise DataError(
                f"teacher patches: window (top {top}, left {left}, {height}x{width}) must lie in the "
                f"{height_px}x{width_px} picture and have the patches' size {patches.shape[-2]}x{patches.shape[-1]}; "
                "label the patches at this size"
            )
        cut.append(whole[..., top : top + height, left : left + width])
    return torch.stack(cut, dim=2)


def _neighbours(seen: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    n = seen.shape[axis] - 1
    return seen.narrow(axis, 0, n), seen.narrow(axis, 1, n)
