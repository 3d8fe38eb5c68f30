"""The terms of the objective as functions of a `Case`: which maps each compares, under which mask."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from surround_depth.errors import ConfigError
from surround_depth.losses import baselines, bin_distillation, cross_context, privileged, supervised
from surround_depth.losses.case import Case
from surround_depth.losses.masked import Term
from surround_depth.losses.normalisation import Norm
from surround_depth.losses.photometric import ViewContext
from surround_depth.losses.view_relation import view_relation


def confidence(case: Case) -> Term:
    """The confidence against whether the depth is right, where LiDAR says so."""
    prediction, targets = case.prediction, case.targets
    return supervised.confidence_on_truth(
        prediction.confidence_logit, prediction.depth_m, targets.lidar_m, targets.lidar_mask
    )


def laplace(case: Case) -> Term:
    """Depth and confidence together against LiDAR."""
    prediction, targets = case.prediction, case.targets
    return supervised.laplace(prediction.confidence_logit, prediction.depth_m, targets.lidar_m, targets.lidar_mask)


def kl(case: Case) -> Term:
    """The student's bins against the teacher's, over m_kd (D4, D5)."""
    teacher, mask = case.teacher_bins
    return bin_distillation.bin_divergence(teacher, case.logits, mask, case.config.tau)


def x1(case: Case) -> Term:
    """The teacher's probabilities on the student's centers, against LiDAR where both speak (D6)."""
    targets = case.targets
    teacher, says_something = case.teacher_bins
    labelled = targets.teacher_mask if case.config.bins_from == "depth" else targets.relative_mask
    both = targets.lidar_mask & labelled & says_something.flatten(2).any(dim=-1)[..., None, None]
    return bin_distillation.crossed_centers(
        teacher, case.prediction.centers_m, targets.lidar_m, both, case.bins.mean, case.config.pool
    )


def x2(case: Case) -> Term:
    """The student's probabilities on the teacher's centers, against LiDAR (D6)."""
    return _mean_against_lidar(case, case.logits)


def teacher_head(case: Case) -> Term:
    """The bin head on the teacher's features, against LiDAR (D4)."""
    return _mean_against_lidar(case, case.teacher_logits)


def _mean_against_lidar(case: Case, logits: Tensor) -> Term:
    targets = case.targets
    return bin_distillation.crossed_probabilities(
        logits, case.teacher_centers_m, targets.lidar_m, targets.lidar_mask, case.bins.mean, case.config.pool
    )


def tie(case: Case) -> Term:
    """Density of depth and structure against the aligned teacher (D14)."""
    targets, prediction = case.targets, case.prediction
    density = baselines.tie_density(
        case.logits,
        prediction.centers_m,
        case.of_cells(targets.teacher_m),
        case.of_cells(targets.teacher_mask),
        case.config.tie_density,
    )
    return baselines.tie(density, baselines.tie_structure(prediction.depth_m, targets.teacher_m, targets.teacher_mask))


def against_relative(case: Case, norm: Norm) -> Term:
    """KD-SSI and KD-HDN: P2's distance on the whole picture, nothing dropped."""
    targets = case.targets
    return cross_context.shared_context(
        case.prediction.depth_m, targets.relative, targets.relative_mask, norm, drop_top=0.0
    )


def shared(case: Case) -> Term:
    """P2's shared context: relative depth, or metres with `none` (D8)."""
    config, targets = case.config.cross_context, case.targets
    metric = config.shared_norm == "none"
    target = 1.0 / targets.teacher_m if metric else targets.relative
    mask = targets.teacher_mask if metric else targets.relative_mask
    return cross_context.shared_context(case.prediction.depth_m, target, mask, config.shared_norm, config.drop_top)


def local_global(case: Case) -> Term:
    """P2's local-global: the student's whole picture against the teacher's windows (D8)."""
    config, patches = case.config.cross_context, case.targets.patches
    if patches is None:
        raise ConfigError("loss.cross_context.local_global: the samples were prepared without the teacher's patches")
    return cross_context.local_global(
        case.prediction.depth_m,
        patches.inverse_depth,
        patches.valid,
        patches.windows,
        case.targets.seen,
        config.local_global_norm,
        config.drop_top,
    )


def gradient(case: Case) -> Term:
    """Gradients of relative inverse depth at four scales (D10)."""
    targets = case.targets
    return cross_context.gradient_match(case.prediction.depth_m, targets.relative, targets.relative_mask)


def cosine(case: Case) -> Term:
    """Directions of features where the cameras see (D10)."""
    alpha = case.config.cross_context.alpha
    return cross_context.feature_cosine(
        case.adapted("cosine"), case.resized_features, case.of_features(case.targets.seen), alpha
    )


def relation(case: Case) -> Term:
    """VRKD: features off the own body, or bins where the teacher's mean something (D7)."""
    config, targets = case.config.view_relation, case.targets
    if config.variant == "v3":
        teacher, keep = case.teacher_bins
        student = torch.softmax(case.logits.float(), dim=2)
    else:
        teacher, keep, student = case.teacher_features, targets.seen, case.prediction.features
    return view_relation(student, teacher, keep, targets.neighbours, targets.camera_valid, config)


def attention(case: Case) -> Term:
    """Features through attention, over m_kd at their stride (D11)."""
    assert case.adapters is not None
    assert case.adapters.attention is not None  # made from the same config
    adapted, log_variance = case.adapters.attention(case.features)
    mask = case.of_features(case.targets.relative_mask)
    trust = None if case.trust is None else case.of_features(case.trust)
    return privileged.attention_feature(adapted, case.resized_features, log_variance, mask, trust)


def response(case: Case) -> Term:
    """Depth on the bins' grid, the worst pixels counting most (D12)."""
    targets = case.targets
    head = None if case.adapters is None else case.adapters.response
    return privileged.focal_response(
        case.prediction.head_depth_m,
        case.of_cells(targets.teacher_m),
        None if head is None else F.interpolate(head(case.features), case.size_of_head, mode="bilinear"),
        case.of_cells(targets.teacher_mask),
        case.config.privileged.gamma,
        None if case.trust is None else case.of_cells(case.trust),
    )


def context(case: Case) -> ViewContext:
    """Return what the photometric term compares with.

    Raises:
        ConfigError: the samples carry none.
    """
    if case.targets.context is None:
        raise ConfigError("loss.photometric.weight is above 0, but the samples were prepared without their context")
    return case.targets.context


def of_lidar(term: Callable[[Tensor, Tensor, Tensor], Term]) -> Callable[[Case], Term]:
    """Return a term on (depth, LiDAR, its mask)."""
    return lambda case: term(case.prediction.depth_m, case.targets.lidar_m, case.targets.lidar_mask)


def of_teacher(term: Callable[[Tensor, Tensor, Tensor], Term]) -> Callable[[Case], Term]:
    """Return a term on (depth, aligned teacher, its mask)."""
    return lambda case: term(case.prediction.depth_m, case.targets.teacher_m, case.targets.teacher_mask)
