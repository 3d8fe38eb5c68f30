"""Learning rate, parameter groups and the running average of the weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import nn

from surround_depth.models.student import Student
from surround_depth.training.config import OptimConfig

# of `one_cycle`; `cosine` begins and ends at 0
_START_FACTOR = 0.04
_END_FACTOR = 1e-3


def learning_rate_factor(config: OptimConfig, progress: float) -> float:
    """Return the factor on the peak learning rate at `progress` in [0, 1]: a linear climb, then half a cosine down."""
    start, end = (_START_FACTOR, _END_FACTOR) if config.schedule == "one_cycle" else (0.0, 0.0)
    if progress < config.warmup:
        return start + (1.0 - start) * progress / config.warmup
    descent = (progress - config.warmup) / (1.0 - config.warmup)
    return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * min(descent, 1.0)))


def build_optimizer(student: Student, config: OptimConfig, beside: Sequence[nn.Parameter] = ()) -> torch.optim.AdamW:
    """Return AdamW; norms and biases do not decay, the encoder has its own learning rate (`initial_lr` per group).

    Args:
        beside: parameters that learn with the student and are none of its own.
    """
    groups = []
    for is_encoder in (True, False):
        factor = config.encoder_lr_factor if is_encoder else 1.0
        named = [(n, p) for n, p in student.named_parameters() if n.startswith("encoder.") == is_encoder]
        for decays in (True, False):
            parameters = [p for _, p in named if (p.ndim > 1) == decays]
            decay = config.weight_decay if decays else 0.0
            lr = config.lr * factor
            groups.append({"params": parameters, "weight_decay": decay, "lr": lr, "initial_lr": lr})
    for decays in (True, False) if beside else ():
        parameters = [p for p in beside if (p.ndim > 1) == decays]
        decay = config.weight_decay if decays else 0.0
        groups.append({"params": parameters, "weight_decay": decay, "lr": config.lr, "initial_lr": config.lr})
    return torch.optim.AdamW(groups, betas=(0.9, 0.99))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's own peak by `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def settle_norms(student: nn.Module) -> None:
    """Let every batch norm use its stored statistics from now on; its scale and shift go on learning."""
    for module in student.modules():
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            module.eval()


class WeightAverage:
    """Exponential moving average of a student; this is what is validated and shipped."""

    def __init__(self, student: Student, decay: float) -> None:
        self.student = copy.deepcopy(student).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, student: nn.Module, step: int) -> None:
        """Move the average towards `student`; early on it follows faster, so that it forgets the start."""
        decay = min(self._decay, (1.0 + step) / (10.0 + step))
        for average, value in zip(self.student.parameters(), student.parameters(), strict=True):
            average.lerp_(value, 1.0 - decay)
        for kept, current in zip(self.student.buffers(), student.buffers(), strict=True):
            if kept.is_floating_point():  # statistics belong to the weights they were seen with
                kept.lerp_(current, 1.0 - decay)
            else:
                kept.copy_(current)
