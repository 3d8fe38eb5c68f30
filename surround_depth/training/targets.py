"""From a batch to what the losses compare with: masks, and the teacher aligned to metres by this batch's LiDAR."""

from __future__ import annotations

import torch

from surround_depth.losses.build import Targets
from surround_depth.models.config import BinConfig
from surround_depth.teachers.alignment import aligned_depth, fit_affine
from surround_depth.training.dataset import Batch


def make_targets(batch: Batch, bins: BinConfig) -> Targets:
    """Return the targets of a batch: m_gt, m_kd and d_A of distillation.md 6.1 and D3."""
    lidar_m, relative = batch.lidar_m, batch.relative.float()
    seen = ~batch.own_body & (batch.camera_valid > 0.5)[:, :, None, None]
    in_range = (lidar_m > bins.min_depth_m) & (lidar_m < bins.max_depth_m)  # False on NaN
    lidar_mask = in_range & seen
    fit = fit_affine(relative, lidar_m, lidar_mask & batch.teacher_valid)
    return Targets(
        lidar_m=lidar_m,
        lidar_mask=lidar_mask,
        sky=batch.sky & seen,
        teacher_m=aligned_depth(torch.nan_to_num(relative), fit, bins.min_depth_m, bins.max_depth_m),
        teacher_mask=batch.teacher_valid & seen & fit.usable[..., None, None],
        context=batch.context,
    )
