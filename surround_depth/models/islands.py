"""What half precision breaks, kept in float32 wherever it occurs: in our own modules and inside any backbone.

A float16 holds 65504 at most and three decimals. A sum over a whole map overflows it, a normalisation squares first,
and a softmax loses the small weights; convolutions and matrix products accumulate in float32 on every engine and only
round their results. So the former are islands, the latter are half, and the weights say which is which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_ISLANDS = frozenset(
    {
        F.layer_norm,
        F.group_norm,
        F.softmax,
        torch.softmax,
        Tensor.softmax,
        F.normalize,
        F.scaled_dot_product_attention,
        torch.linalg.vector_norm,
        torch.norm,
        Tensor.norm,
        torch.mean,
        Tensor.mean,
        torch.sum,
        Tensor.sum,
        torch.var,
        Tensor.var,
        F.adaptive_avg_pool2d,
    }
)
_TYPED_BY_WEIGHT = frozenset({F.conv1d, F.conv2d, torch.conv1d, torch.conv2d, F.linear})
_NORMS_WITH_WEIGHTS = (torch.nn.LayerNorm, torch.nn.GroupNorm)


class Float32Islands(TorchFunctionMode):
    """While active, normalisations, softmax and sums over many values of half tensors are computed in float32.

    Their result has the type of the input again, unless the call asks for another. A convolution or linear layer takes
    its input in the type of its weights. Float32 tensors pass through it all unchanged.

    A mode, not modules to replace: backbones call these functions as they like, and one that comes new is covered.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _TYPED_BY_WEIGHT and len(args) > 1 and args[0].dtype != args[1].dtype:
            return func(args[0].to(args[1].dtype), *args[1:], **kwargs)
        if func in _ISLANDS and args and _is_half(args[0]):
            result = func(*map(_widen, args), **{name: _widen(value) for name, value in kwargs.items()})
            return result if kwargs.get("dtype") is not None else result.to(args[0].dtype)
        return func(*args, **kwargs)


def halve(module: torch.nn.Module) -> None:
    """Make the weights of `module` float16, in place; those of its normalisations stay float32, as islands are."""
    module.half()
    for part in module.modules():
        if isinstance(part, _NORMS_WITH_WEIGHTS):
            part.float()


def _is_half(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)


def _widen(value: Any) -> Any:
    return value.float() if _is_half(value) else value
