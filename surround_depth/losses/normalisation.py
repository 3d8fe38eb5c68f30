"""Comparing inverse depths whose scale and shift are unknown: the norms of P2 and HDN (distillation.md, 2.1 and D9).

A map is normalised inside a context (a set of pixels) by its median t and its mean deviation s:
`N(d) = (d - t) / s`. The contexts are segments of the target's range, so both maps are normalised over the same pixels:
`global` is one segment, `local` four, `hybrid` the mean over one, two and four, `none` compares the maps as they are.

What is whose. [V] arXiv 2502.19204 v2, Eq. 1-6. [C] As in icoz69/HDN@df9bb5fe: the lower median,
`s = sum |d - t| / (n + 1)`, `1e-6` on the divisor, gradient through the student's t and s. [O] Mended: there the pixel
with the greatest target lies in no context yet counts in the mean, and a flat context makes the gradient explode.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from surround_depth.losses.masked import at_least_float32

Norm: TypeAlias = Literal["global", "hybrid", "local", "none"]

_SEGMENTS: dict[Norm, tuple[int, ...]] = {"global": (1,), "hybrid": (1, 2, 4), "local": (4,)}
_EPSILON = 1e-6
_LEAST_DEVIATION = 1e-3
"""Of the range of the map over the image: what a flat context is divided by."""


def normalised_difference(student_x: Tensor, target_r: Tensor, mask: Tensor, norm: Norm) -> Tensor:
    """Return |N(x) - N(r)| per pixel [B, N, H, W], the mean over the contexts that hold the pixel; 0 outside the mask.

    Unchanged under `x -> a x + b` and `r -> a r + b`, a > 0, for every norm but `none`, as far as 1e-6 is small beside
    the deviations. Every image (b, n) is normalised alone.

    Args:
        student_x: the student's inverse depth [B, N, H, W]; the gradient reaches it alone.
        target_r: the teacher's, in any affine frame; large = near. For `none` in the student's unit.
        mask: bool [B, N, H, W]. Outside it both maps may be NaN.
        norm: see the module.

    Source: Eq. 1-6 [V], D9 [C, mended]. D9 floors the deviation by the target's range. The student's is in another
    unit, so here each map's floor comes from its own range, which keeps the invariance [O]. Eq. 1 has 1/n where HDN has
    1/(n + 1). Hand-worked, and compared with HDN's behaviour, in tests/losses/test_normalisation.py.
    """
    x, seen = _masked_rows(student_x, mask), mask.flatten(2).flatten(0, 1)
    r = _masked_rows(target_r.detach(), mask).to(x.dtype)
    if norm == "none":
        return (x - r).abs().reshape(mask.shape)
    floor_x, floor_r = _floor(x, seen), _floor(r, seen)
    difference = torch.zeros_like(x)
    for n_segments in _SEGMENTS[norm]:
        segment = _segment_of(r, seen, n_segments)
        for k in range(n_segments):
            context = seen & (segment == k)
            apart = _normalise(x, context, floor_x) - _normalise(r, context, floor_r)
            difference = difference + torch.where(context, apart.abs(), 0.0)
    return (difference / len(_SEGMENTS[norm])).reshape(mask.shape)


def global_norm(values: Tensor, mask: Tensor) -> Tensor:
    """Return N(d) over all of an image's mask [B, N, H, W], 0 outside it; NaN allowed there. Eq. 1 [V].

    The gradient reaches `values`, through its median and deviation too.
    """
    d, seen = _masked_rows(values, mask), mask.flatten(2).flatten(0, 1)
    return torch.where(seen, _normalise(d, seen, _floor(d, seen)), 0.0).reshape(mask.shape)


def _masked_rows(values: Tensor, mask: Tensor) -> Tensor:
    """One row per image [B N, H W], 0 outside the mask."""
    return torch.where(mask, at_least_float32(values), 0.0).flatten(2).flatten(0, 1)


def _normalise(d: Tensor, context: Tensor, floor: Tensor) -> Tensor:
    """(d - t) / s of rows [I, P] with t and s over `context`; finite outside it as well."""
    # the lower median, NaN of an empty context; quickselect for each context: one sort costs as much as six on a CPU
    median = torch.where(context, d, math.nan).nanmedian(dim=-1, keepdim=True).values
    from_median = d - torch.where(context.any(dim=-1, keepdim=True), median, 0.0)
    total = torch.where(context, from_median.abs(), 0.0).sum(dim=-1, keepdim=True)
    deviation = total / (context.sum(dim=-1, keepdim=True) + 1)
    return from_median / (deviation.maximum(floor) + _EPSILON)


def _floor(d: Tensor, seen: Tensor) -> Tensor:
    low, high = _range(d.detach(), seen)
    return _LEAST_DEVIATION * (high - low).clamp(min=0.0)


def _range(d: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest value of each row [I, 1]; (inf, -inf) of an empty one."""
    low = d.masked_fill(~seen, math.inf).amin(dim=-1, keepdim=True)
    return low, d.masked_fill(~seen, -math.inf).amax(dim=-1, keepdim=True)


def _segment_of(r: Tensor, seen: Tensor, n_segments: int) -> Tensor:
    """Which of `n_segments` equal parts of its row's range a pixel lies in [I, P]; the last part is closed."""
    low, high = _range(r, seen)
    segment = torch.zeros_like(r, dtype=torch.uint8)
    for k in range(1, n_segments):
        segment += r >= low + (high - low) * (k / n_segments)
    return segment
