"""The training objective: every raw term, then the weighted total (distillation.md, D15).

A new term is a function of tensors in a file of its own, one line of `TERMS` here, and one entry of `LossConfig`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from surround_depth.losses import baselines, photometric, supervised, terms
from surround_depth.losses.adapters import Adapters
from surround_depth.losses.case import Bins, Case, Prediction, Targets
from surround_depth.losses.config import LossConfig
from surround_depth.losses.masked import Term


@dataclass(frozen=True)
class LossReport:
    """The total to minimise and the raw terms behind it (before weighting)."""

    total: Tensor
    terms: dict[str, Term]


@dataclass(frozen=True)
class Kind:
    """One term of the objective."""

    weight: Callable[[LossConfig], float]
    term: Callable[[Case], Term]
    ramped: bool = True
    """Of the teacher: grows from 0 in the first steps."""
    features: Callable[[LossConfig], bool] = lambda config: False
    """Whether it needs the teacher's features."""
    adapters: Callable[[LossConfig], bool] = lambda config: False
    """Whether it learns something beside the student."""
    bins: Callable[[LossConfig], bool] = lambda config: False
    """Whether it needs a student with bins."""


def _always(config: LossConfig) -> bool:
    return True


def _sub(config: LossConfig, name: str) -> float:
    """Return the weight of one of P2's terms."""
    return float(config.cross_context.weight * getattr(config.cross_context, name))


TERMS: dict[str, Kind] = {
    "silog": Kind(
        lambda c: c.silog,
        lambda x: supervised.silog(x.prediction.depth_m, x.targets.lidar_m, x.targets.lidar_mask, x.config.pool),
        ramped=False,
    ),
    "l1": Kind(lambda c: c.l1, terms.of_lidar(supervised.l1), ramped=False),
    "log_l1": Kind(lambda c: c.log_l1, terms.of_lidar(supervised.log_l1), ramped=False),
    "laplace": Kind(lambda c: c.laplace, terms.laplace, ramped=False),
    "chamfer": Kind(
        lambda c: c.chamfer,
        lambda x: supervised.center_chamfer(x.prediction.centers_m, x.targets.lidar_m, x.targets.lidar_mask, x.range_m),
        ramped=False,
        bins=_always,
    ),
    "sky": Kind(
        lambda c: c.sky,
        lambda x: supervised.sky_distance(x.prediction.depth_m, x.targets.sky, x.bins.max_depth_m),
        ramped=False,
    ),
    "confidence": Kind(lambda c: c.confidence, terms.confidence, ramped=False),
    "confidence_sky": Kind(
        lambda c: c.confidence_sky,
        lambda x: supervised.confidence_on_sky(x.prediction.confidence_logit, x.targets.sky),
        ramped=False,
    ),
    "kl": Kind(lambda c: c.kl, terms.kl, bins=_always),
    "x1": Kind(lambda c: c.x1, terms.x1, bins=_always),
    "x2": Kind(lambda c: c.x2, terms.x2, ramped=False, bins=_always),
    "teacher_head": Kind(
        lambda c: float(c.learns_teacher_head),
        terms.teacher_head,
        ramped=False,
        features=_always,
        adapters=_always,
    ),
    "dense": Kind(lambda c: c.dense, terms.of_teacher(supervised.log_l1)),
    "kd_l1": Kind(lambda c: c.kd_l1, terms.of_teacher(baselines.kd_l1)),
    "kd_silog": Kind(lambda c: c.kd_silog, terms.of_teacher(baselines.kd_silog)),
    "tie": Kind(lambda c: c.tie, terms.tie, bins=_always),
    "ssi": Kind(lambda c: c.ssi, lambda x: terms.against_relative(x, "global")),
    "hdn": Kind(lambda c: c.hdn, lambda x: terms.against_relative(x, "hybrid")),
    "shared": Kind(lambda c: _sub(c, "shared"), terms.shared),
    "local_global": Kind(lambda c: _sub(c, "local_global"), terms.local_global),
    "gradient": Kind(lambda c: _sub(c, "gradient"), terms.gradient),
    "feature": Kind(lambda c: _sub(c, "feature"), terms.cosine, features=_always, adapters=_always),
    "fitnets": Kind(
        lambda c: c.fitnets,
        lambda x: baselines.fitnets(x.adapted("fitnets"), x.resized_features, x.of_features(x.targets.seen)),
        features=_always,
        adapters=_always,
    ),
    "rkd": Kind(
        lambda c: c.rkd,
        lambda x: baselines.rkd(x.prediction.features, x.teacher_features, x.targets.seen),
        features=_always,
    ),
    "relation": Kind(
        lambda c: c.relation,
        terms.relation,
        features=lambda c: c.view_relation.variant != "v3" or c.bins_from == "head",
        bins=lambda c: c.view_relation.variant == "v3",
    ),
    "attention": Kind(lambda c: c.privileged.attention, terms.attention, features=_always, adapters=_always),
    "response": Kind(lambda c: c.privileged.response, terms.response, adapters=lambda c: c.privileged.uncertainty),
    "photometric": Kind(
        lambda c: c.photometric.weight,
        lambda x: photometric.photometric(x.prediction.depth_m, terms.context(x)),
        ramped=False,
    ),
    "smoothness": Kind(
        lambda c: c.photometric.smoothness if c.photometric.weight > 0 else 0.0,
        lambda x: photometric.smoothness(x.prediction.depth_m, terms.context(x)),
        ramped=False,
    ),
}
"""Every term by its name in logs and cards."""
_ALWAYS_REPORTED = "silog"


def weights_of(config: LossConfig) -> dict[str, float]:
    """Return the weight of every term that is on, by name, as at the end of the ramp."""
    return {name: weight for name, kind in TERMS.items() if (weight := kind.weight(config)) > 0}


def needs_features(config: LossConfig) -> bool:
    """Return whether some term needs the teacher's features."""
    return bool(terms_on_features(config))


def terms_on_features(config: LossConfig) -> list[str]:
    """Return the terms that are on and need the teacher's features."""
    return [name for name in weights_of(config) if TERMS[name].features(config)]


def needs_patches(config: LossConfig) -> bool:
    """Return whether some term needs what the teacher says of pieces of a picture."""
    return "local_global" in weights_of(config)


def needs_adapters(config: LossConfig) -> bool:
    """Return whether some term learns something beside the student."""
    return any(TERMS[name].adapters(config) for name in weights_of(config))


def terms_on_bins(config: LossConfig) -> list[str]:
    """Return the terms that are on and need a student with bins."""
    return [name for name in weights_of(config) if TERMS[name].bins(config)]


def terms_of_teacher(config: LossConfig) -> list[str]:
    """Return the terms that are on and need a teacher."""
    return [name for name in weights_of(config) if TERMS[name].ramped]


def training_loss(
    prediction: Prediction,
    targets: Targets,
    config: LossConfig,
    *,
    bins: Bins,
    progress: float,
    adapters: Adapters | None = None,
) -> LossReport:
    """Return the weighted total and every raw term.

    Args:
        bins: the student's; sky belongs to their far end.
        progress: share of the training done, in [0, 1]; teacher terms are ramped in by it.
        adapters: what the losses learn beside the student (`needs_adapters`).

    Raises:
        ConfigError: a term on bins with a student that has none, or one that needs features, patches or context that
            the samples lack.
    """
    case = Case(prediction, targets, config, bins, adapters)
    weights = weights_of(config)
    found = {name: kind.term(case) for name, kind in TERMS.items() if name in weights or name == _ALWAYS_REPORTED}
    ramp = min(1.0, progress / config.ramp) if config.ramp > 0 else 1.0
    total = prediction.depth_m.new_zeros(())
    for name, term in found.items():
        total = total + weights.get(name, 0.0) * (ramp if TERMS[name].ramped else 1.0) * term.value
    return LossReport(total, found)
