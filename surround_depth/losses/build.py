"""The training objective: every raw term, then the weighted total (distillation.md, D15, the terms present here)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import Field
from torch import Tensor

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError
from surround_depth.losses import bin_distillation, photometric, supervised
from surround_depth.losses.masked import Term
from surround_depth.losses.photometric import PhotometricConfig, ViewContext


class LossConfig(StrictModel):
    """Weights and choices. A weight of 0 leaves the term out."""

    silog: float = Field(default=1.0, ge=0.0)
    """Of the terms against LiDAR depth; always reported, so that runs with another one can be compared."""
    l1: float = Field(default=0.0, ge=0.0)
    """|d - g| in metres."""
    log_l1: float = Field(default=0.0, ge=0.0)
    laplace: float = Field(default=0.0, ge=0.0)
    """Log likelihood with the scale that the confidence stands for: trains both."""
    chamfer: float = Field(default=0.0, ge=0.0)
    """Pulls adaptive bin centers to the LiDAR depths; with fixed centers a run refuses it."""
    sky: float = Field(default=0.5, ge=0.0)
    confidence: float = Field(default=0.5, ge=0.0)
    confidence_sky: float = Field(default=0.1, ge=0.0)
    kl: float = Field(default=1.0, ge=0.0)
    """CKD-B (D5), ramped in."""
    x1: float = Field(default=0.0, ge=0.0)
    """The crossed term on the centers (D6), ramped in; with fixed centers a run refuses it."""
    dense: float = Field(default=0.0, ge=0.0)
    """|ln d_S - ln d_A| at full size (the log form of KD-L1, D14), ramped in."""
    photometric: PhotometricConfig = PhotometricConfig()
    """Depth from the pictures alone, over space and time."""
    pool: Literal["sample", "image", "batch"] = "sample"
    assign: Literal["twohot", "gauss"] = "gauss"
    """How a teacher's depth becomes probabilities. Two-hot ones are as sharp as the grid: a student that learns them
    errs by a third more on rigs it has not seen (docs/results/2026-11-26-student.md)."""
    sigma: float = Field(default=2.0, gt=0.0)
    """Width of `assign: gauss`, in mean bin widths."""
    ramp: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of the steps over which teacher terms grow from 0 to their weight."""


class Prediction(Protocol):
    """What a student's output must offer (shapes as in `models.student.StudentOutput`)."""

    @property
    def depth_m(self) -> Tensor: ...
    @property
    def confidence_logit(self) -> Tensor: ...
    @property
    def logits(self) -> Tensor | None: ...
    @property
    def edges_m(self) -> Tensor: ...
    @property
    def centers_m(self) -> Tensor: ...


class Bins(Protocol):
    """What the losses must know about the student's bins (`models.config.BinConfig`)."""

    @property
    def min_depth_m(self) -> float: ...
    @property
    def max_depth_m(self) -> float: ...
    @property
    def mean(self) -> bin_distillation.BinMean: ...


@dataclass(frozen=True)
class Targets:
    """What the student is compared with, all [B, N, H, W]."""

    lidar_m: Tensor
    """z-depth, NaN where no point fell."""
    lidar_mask: Tensor
    """m_gt: LiDAR pixel inside the depth range, not own body, camera alive."""
    sky: Tensor
    """The teacher calls it sky; camera alive, not own body."""
    teacher_m: Tensor
    """d_A, the teacher aligned to metres (D3): positive everywhere, meaningful inside `teacher_mask`."""
    teacher_mask: Tensor
    """m_kd: camera alive, not own body, not sky, teacher finite, alignment usable."""
    relative: Tensor | None = None
    """r, 0 (farthest) to 1 (nearest) per image; meaningful inside `teacher_mask`."""
    features: Tensor | None = None
    """Of the teacher [B, N, C, h, w]; None where no loss asks for them."""
    context: ViewContext | None = None
    """What the photometric term compares with; None where that is off."""


@dataclass(frozen=True)
class LossReport:
    """The total to minimise and the raw terms behind it (before weighting)."""

    total: Tensor
    terms: dict[str, Term]


def training_loss(
    prediction: Prediction, targets: Targets, config: LossConfig, *, bins: Bins, progress: float
) -> LossReport:
    """Return the weighted total and every raw term.

    Args:
        bins: the student's; sky belongs to their far end.
        progress: share of the training done, in [0, 1]; teacher terms are ramped in by it.

    Raises:
        ConfigError: a term on bins with a student that has none, or the photometric term without context.
    """
    terms = _supervised_terms(prediction, targets, config, bins) | _teacher_terms(prediction, targets, config, bins)
    if config.photometric.weight > 0:
        terms |= _photometric_terms(prediction, targets)
    ramp = min(1.0, progress / config.ramp) if config.ramp > 0 else 1.0
    weights = {
        "silog": config.silog,
        "l1": config.l1,
        "log_l1": config.log_l1,
        "laplace": config.laplace,
        "chamfer": config.chamfer,
        "sky": config.sky,
        "confidence": config.confidence,
        "confidence_sky": config.confidence_sky,
        "kl": config.kl * ramp,
        "x1": config.x1 * ramp,
        "dense": config.dense * ramp,
        "photometric": config.photometric.weight,
        "smoothness": config.photometric.smoothness,
    }
    total = sum((weights[name] * term.value for name, term in terms.items()), prediction.depth_m.new_zeros(()))
    return LossReport(total, terms)


def _supervised_terms(prediction: Prediction, targets: Targets, config: LossConfig, bins: Bins) -> dict[str, Term]:
    truth_m, mask, sky = targets.lidar_m, targets.lidar_mask, targets.sky
    terms = {"silog": supervised.silog(prediction.depth_m, truth_m, mask, config.pool)}
    if config.l1 > 0:
        terms["l1"] = supervised.l1(prediction.depth_m, truth_m, mask)
    if config.log_l1 > 0:
        terms["log_l1"] = supervised.log_l1(prediction.depth_m, truth_m, mask)
    if config.laplace > 0:
        terms["laplace"] = supervised.laplace(prediction.confidence_logit, prediction.depth_m, truth_m, mask)
    if config.chamfer > 0:
        terms["chamfer"] = supervised.center_chamfer(
            prediction.centers_m, truth_m, mask, (bins.min_depth_m, bins.max_depth_m)
        )
    if config.sky > 0:
        terms["sky"] = supervised.sky_distance(prediction.depth_m, sky, bins.max_depth_m)
    if config.confidence > 0:
        terms["confidence"] = supervised.confidence_on_truth(
            prediction.confidence_logit, prediction.depth_m, truth_m, mask
        )
    if config.confidence_sky > 0:
        terms["confidence_sky"] = supervised.confidence_on_sky(prediction.confidence_logit, sky)
    return terms


def _teacher_terms(prediction: Prediction, targets: Targets, config: LossConfig, bins: Bins) -> dict[str, Term]:
    terms: dict[str, Term] = {}
    if config.kl > 0 or config.x1 > 0:
        if prediction.logits is None:
            raise ConfigError("loss.kl and loss.x1 compare bins, and this student has none; set both weights to 0")
        stride = targets.teacher_m.shape[-1] // prediction.logits.shape[-1]
        teacher_m, mask = at_cell_centers(targets.teacher_m, stride), at_cell_centers(targets.teacher_mask, stride)
        teacher = bin_distillation.assign_to_bins(
            teacher_m, prediction.edges_m, prediction.centers_m, config.assign, config.sigma
        )
        if config.kl > 0:
            terms["kl"] = bin_distillation.bin_divergence(teacher, prediction.logits, mask)
        if config.x1 > 0:
            both = targets.lidar_mask & targets.teacher_mask
            terms["x1"] = bin_distillation.crossed_centers(
                teacher, prediction.centers_m, targets.lidar_m, both, bins.mean, config.pool
            )
    if config.dense > 0:
        terms["dense"] = supervised.log_l1(prediction.depth_m, targets.teacher_m, targets.teacher_mask)
    return terms


def _photometric_terms(prediction: Prediction, targets: Targets) -> dict[str, Term]:
    if targets.context is None:
        raise ConfigError("loss.photometric.weight is above 0, but the samples were prepared without their context")
    return {
        "photometric": photometric.photometric(prediction.depth_m, targets.context),
        "smoothness": photometric.smoothness(prediction.depth_m, targets.context),
    }


def at_cell_centers(full: Tensor, stride: int) -> Tensor:
    """Return one pixel per cell [B, N, H/stride, W/stride]; a mean would invent depths on edges.

    With an even stride the cell's centre lies between four pixels; this is the one below and right of it, half a pixel
    off in both directions.
    """
    return full[..., stride // 2 :: stride, stride // 2 :: stride]
