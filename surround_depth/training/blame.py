"""Which sample of a batch spoils the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from surround_depth.losses.build import LossReport
from surround_depth.training.dataset import Batch

_SPARSE = ("lidar_index", "lidar_depth_m")  # one entry per LiDAR pixel, where the other tensors have one per sample


@torch.no_grad()
def blame(batches: Sequence[Batch], loss_of: Callable[[Batch], LossReport]) -> list[str]:
    """Return the ids of the samples whose loss, computed for each alone, is not finite; it may be none of them.

    Args:
        loss_of: must not depend on what it was given before, nor wait for other processes.
    """
    singles = [single for batch in batches for single in _singles(batch)]
    return [single.sample_ids[0] for single in singles if not torch.isfinite(loss_of(single).total)]


def _singles(batch: Batch) -> Iterator[Batch]:
    """Yield every sample as a batch of its own."""
    n_pixels = batch.masks[0].numel()
    for i, sample_id in enumerate(batch.sample_ids):
        names = [field.name for field in fields(batch) if field.name not in ("sample_ids", *_SPARSE)]
        dense: dict[str, Any] = {name: _row(getattr(batch, name), i) for name in names}
        own = batch.lidar_index // n_pixels == i
        yield replace(
            batch,
            sample_ids=(sample_id,),
            lidar_index=batch.lidar_index[own] - i * n_pixels,
            lidar_depth_m=batch.lidar_depth_m[own],
            **dense,
        )


def _row(value: Any, i: int) -> Any:
    """Return the part of sample i of a tensor [B, ...], or of a dataclass of such tensors; None stays."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _row(getattr(value, field.name), i) for field in fields(value)})
    return None if value is None else value[i : i + 1]
