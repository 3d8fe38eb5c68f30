"""From a batch to what the losses compare with: masks, and the teacher aligned to metres by this batch's LiDAR."""

from __future__ import annotations

import torch

from surround_depth.losses.case import Targets
from surround_depth.models.config import BinConfig
from surround_depth.teachers.alignment import AffineFit, aligned_depth, fit_affine
from surround_depth.teachers.anchoring import anchored_depth
from surround_depth.teachers.build import Alignment
from surround_depth.training.dataset import Batch


def make_targets(batch: Batch, bins: BinConfig, alignment: Alignment = "image") -> Targets:
    """Return the targets of a batch: m_gt, m_kd and d_A of distillation.md 6.1 and D3.

    Args:
        alignment: of the teacher's depth to LiDAR; see `TeacherConfig.alignment`.
    """
    lidar_m, relative = batch.lidar_m, batch.relative.float()
    seen = ~batch.own_body & (batch.camera_valid > 0.5)[:, :, None, None]
    in_range = (lidar_m > bins.min_depth_m) & (lidar_m < bins.max_depth_m)  # False on NaN
    lidar_mask = in_range & seen
    both = lidar_mask & batch.teacher_valid
    fit = _known_or(batch, fit_affine(relative, lidar_m, both))
    reach = {"min_depth_m": bins.min_depth_m, "max_depth_m": bins.max_depth_m}
    teacher_m = aligned_depth(torch.nan_to_num(relative), fit, **reach)
    if alignment == "local":
        teacher_m = anchored_depth(teacher_m, lidar_m, both & fit.usable[..., None, None], **reach)
    return Targets(
        lidar_m=lidar_m,
        lidar_mask=lidar_mask,
        sky=batch.sky & seen,
        teacher_m=teacher_m,
        teacher_mask=batch.teacher_valid & seen & fit.usable[..., None, None],
        relative=relative,
        relative_mask=batch.teacher_valid & seen,
        seen=seen,
        camera_valid=batch.camera_valid > 0.5,
        neighbours=batch.neighbours,
        features=batch.features,
        patches=batch.patches,
        trust=batch.trust,
        context=batch.context,
    )


def _known_or(batch: Batch, fit: AffineFit) -> AffineFit:
    """Return the scale and shift that a metric teacher brings, and the fitted ones of a relative teacher."""
    shift, scale = batch.metric_range.double().unbind(-1)
    metric = torch.isfinite(scale)
    usable = torch.where(metric, scale > 0, fit.usable)
    return AffineFit(torch.where(metric, scale, fit.scale), torch.where(metric, shift, fit.shift), usable)
