"""Local alignment: a teacher's depth drawn to the LiDAR around it, surface by surface [O].

One scale and shift per image (`alignment`) leave a teacher wrong by 10 to 20 % in places, and LiDAR says where. Its
residuals are spread in a bilateral grid (Chen, Paris, Durand 2007: place x place x value): over neighbouring cells of
the image, and there only among pixels that the teacher puts at a similar depth, so that the road's error does not leak
onto the car that stands on it. Where no return is near, the depth stays what it was.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_CELLS_ACROSS = (12, 24, 48)
"""Of the width of an image, coarse to fine; cells are square. What is left of a residual goes to the finer ones."""
_SLAB_LOG_DEPTH = (1.0, 0.5, 0.25)
"""Thickness of a slab of depth, in ln d: at the finest 28 %."""
_MAX_RESIDUAL = 0.7
"""In ln d, a factor of two: a return further off is one seen past an edge."""
_PRIOR_RETURNS = 0.05
"""How many returns' worth a cell holds on to the teacher."""


@torch.no_grad()
def anchored_depth(depth_m: Tensor, lidar_m: Tensor, mask: Tensor, *, min_depth_m: float, max_depth_m: float) -> Tensor:
    """Return depth [B, N, H, W] with the residuals of the LiDAR near each pixel, of like depth, taken out.

    Args:
        depth_m: the teacher's, in metres [B, N, H, W]; positive and finite.
        lidar_m: [B, N, H, W]; NaN allowed outside the mask.
        mask: bool [B, N, H, W]: LiDAR pixels where the teacher is valid.
        min_depth_m, max_depth_m: depths are clamped to these.

    Source: own design [O]. Hand-worked in tests/teachers/test_anchoring.py.
    """
    log_depth = depth_m.clamp(min_depth_m, max_depth_m).log().flatten(0, 1)
    seen = mask.flatten(0, 1)
    residual = torch.where(mask, lidar_m, 1.0).log().flatten(0, 1) - log_depth
    residual = residual.clamp(-_MAX_RESIDUAL, _MAX_RESIDUAL)
    correction = torch.zeros_like(log_depth)
    width_px = log_depth.shape[-1]
    for cells, slab in zip(_CELLS_ACROSS, _SLAB_LOG_DEPTH, strict=True):
        slabs = (log_depth - math.log(min_depth_m)) / slab
        n_slabs = math.ceil(math.log(max_depth_m / min_depth_m) / slab) + 1
        correction = correction + _spread(residual - correction, seen, slabs, n_slabs, width_px / cells)
    anchored_m: Tensor = (log_depth + correction).exp().clamp(min_depth_m, max_depth_m).view_as(depth_m)
    return anchored_m


def _spread(residual: Tensor, seen: Tensor, slabs: Tensor, n_slabs: int, cell_px: float) -> Tensor:
    """Return the mean residual around every pixel of [I, H, W], of the pixels `seen`, through a grid of cells.

    Args:
        slabs: where each pixel lies along the grid's depth, in slabs.
    """
    n_images, height_px, width_px = residual.shape
    n_rows, n_columns = math.ceil(height_px / cell_px), math.ceil(width_px / cell_px)
    rows = ((torch.arange(height_px, device=residual.device) + 0.5) / cell_px).view(1, -1, 1).expand_as(residual)
    columns = ((torch.arange(width_px, device=residual.device) + 0.5) / cell_px).view(1, 1, -1).expand_as(residual)
    image = torch.arange(n_images, device=residual.device).view(-1, 1, 1)
    slab = slabs.round().long().clamp(0, n_slabs - 1)
    cell = ((image * n_slabs + slab) * n_rows + rows.long()) * n_columns + columns.long()
    grid = torch.zeros(2, n_images * n_slabs * n_rows * n_columns, device=residual.device)
    grid[0].index_add_(0, cell[seen], residual[seen])
    grid[1].index_add_(0, cell[seen], torch.ones_like(residual[seen]))
    total, count = _smoothed(grid.view(2 * n_images, 1, n_slabs, n_rows, n_columns)).chunk(2)
    return _at(total / (count + _PRIOR_RETURNS), columns - 0.5, rows - 0.5, slabs)


def _smoothed(grid: Tensor) -> Tensor:
    """Return [M, 1, D, R, C] with every cell shared with its neighbours, a half to a quarter, along each axis."""
    tent = torch.tensor([0.25, 0.5, 0.25], device=grid.device)
    for axis in range(3):
        kernel = tent.view([1, 1, *(3 if axis == other else 1 for other in range(3))])
        grid = F.conv3d(grid, kernel, padding=[1 if axis == other else 0 for other in range(3)])
    return grid


def _at(grid: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Return [I, H, W]: a grid [I, 1, D, R, C] at these places, in cells from the first one's centre."""
    places = torch.stack(
        [2.0 * place / max(n - 1, 1) - 1.0 for place, n in zip((x, y, z), reversed(grid.shape[2:]), strict=True)], -1
    )
    found = F.grid_sample(grid, places[:, None], mode="bilinear", padding_mode="border", align_corners=True)
    return found[:, 0, 0]
