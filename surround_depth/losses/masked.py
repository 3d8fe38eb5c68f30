"""Masked means: an empty mask gives 0 with zero gradient, never NaN (distillation.md, 6.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Term:
    """A raw loss value and the number of items it was averaged over (0: the value is 0 and has no gradient)."""

    value: Tensor
    count: Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Term:
    """Return the mean of `values` over the bool `mask` of the same shape.

    `values` must be finite outside the mask too (mask before the arithmetic): where() stops a NaN value, not the
    NaN gradient of the operation that made it.
    """
    count = mask.sum()
    total = torch.where(mask, values, 0.0).sum()
    return Term(total / count.clamp(min=1).to(values.dtype), count)


def at_least_float32(values: Tensor) -> Tensor:
    """Return half precision as float32, in which losses are computed; float64 stays: gradients can be checked in it."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def log_difference(depth_m: Tensor, truth_m: Tensor, mask: Tensor) -> Tensor:
    """Return ln d - ln g, exactly 0 (and without gradient) outside the mask, where g may be NaN."""
    d = torch.where(mask, at_least_float32(depth_m), 1.0)
    g = torch.where(mask, at_least_float32(truth_m), 1.0)
    return torch.log(d) - torch.log(g)
