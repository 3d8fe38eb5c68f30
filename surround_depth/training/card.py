"""The model card: what a person should know before using these weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from surround_depth.losses.build import weights_of
from surround_depth.metrics.depth import DepthErrors
from surround_depth.metrics.scoreboard import DEFAULT_RANGE
from surround_depth.training.config import TrainConfig
from surround_depth.training.validation import Validation

_HEADER = "| predictor | truth | AbsRel | SqRel m | RMSE m | RMSElog | δ<1.25 | δ<1.25² | δ<1.25³ |"
_RULE = "|---|---|---|---|---|---|---|---|---|"
_MOST_NAMES = 8


def model_card(
    config: TrainConfig, provenance: dict[str, Any], validation: Validation | None, *, step: int, n_parameters: int
) -> str:
    """Return the card as Markdown."""
    bins, optim = config.student.bins, config.optim
    depth_range = f"{bins.min_depth_m:g} to {bins.max_depth_m:g} m"
    scored_range = f"{DEFAULT_RANGE.min_depth_m:g} to {DEFAULT_RANGE.max_depth_m:g} m"
    lineage = "\n".join(f"- {e['kind']}: {e['name']} (licence: {e['licence']})" for e in provenance["lineage"])
    data = "\n".join(map(_data_lines, provenance["data"]))
    return f"""# {config.name}

A surround_depth student (`{config.student.preset}`, {n_parameters / 1e6:.2f} M parameters):
calibrated cameras in, metric depth and its confidence out. Depth is z along the optical axis, {depth_range};
a depth near the far end means sky or beyond range. Input {config.input.height_px} x {config.input.width_px} per camera.

## Training

- steps: {step} of {optim.steps}, {optim.batch_size * optim.accumulation} rig(s) a step, seed {config.seed}
- loss terms and weights: {_loss_terms(config)}; teacher `{config.teacher.kind}`; bins are our design,
  inspired by arXiv 2512.08700 (its equations are not available to us); what of a loss is published says its docstring
{_teacher_note(config)}{data}
- data hash: `{provenance["data_sha256"]}`
- commit: `{provenance["commit"]}`
- command: `{provenance["command"]}`

## Licence

{_licence(provenance["licence"])}

{lineage}

## Held-out scenes

{_role_warning(config)}{_table(validation)}

Truth within {scored_range}, predictions clamped to it, own vehicle left out, no median scaling;
mean over the images of a camera, then over cameras: the rule of `tools/evaluate.py`.
The baseline predicts the per-pixel mean of the training scenes of the same data set and never looks at the picture.

## Limits

{_limits(config)}
"""


def _loss_terms(config: TrainConfig) -> str:
    """Return the terms that count, with their weights."""
    return ", ".join(f"{name} {weight:g}" for name, weight in weights_of(config.loss).items())


def _data_lines(one: Mapping[str, Any]) -> str:
    """Return the bullets of one data set."""
    often = f", {one['repeat']} times a pass" if one["repeat"] > 1 else ""
    scenes = one["scenes"]
    return f"""- {one["key"]} ({one["name"]}{often})
  - training scenes: {_scene_names(scenes["train"])}
  - validation scenes: {_scene_names(scenes["val"])}"""


def _licence(licence: Mapping[str, Any]) -> str:
    """Return what binds the weights, as far as their lineage says."""
    if not licence["terms"]:
        return "Nothing that these weights were made of binds them:"
    return (
        f"**{licence['name']}** ({', '.join(licence['terms'])}): the strictest of what they were made of, here of "
        f"{', '.join(licence['because_of'])}. Read from what each source says of itself:"
    )


def _role_warning(config: TrainConfig) -> str:
    if config.data.validate_on == "val":
        return ""
    return "**These are no held-out scenes: the student was trained on these very samples (`data.validate_on`).**\n\n"


def _teacher_note(config: TrainConfig) -> str:
    """Return the bullet that says what a simulated teacher is worth; nothing for another teacher."""
    if config.teacher.kind != "simulated":
        return ""
    t, loss = config.teacher.simulated, config.loss
    weight = f"weights dense {loss.dense:g}, kl {loss.kl:g} against LiDAR {loss.silog:g}"
    close = "; this is close to dense supervision" if loss.dense > 0 else ""
    return f"""- the simulated teacher is the renderer's dense truth with a small smooth error
  (bias {t.bias:.0%}, noise {t.noise:.0%}, edges blurred by {t.edge_blur_px:g} px) and exact sky, {weight}{close}:
  it shows that the distillation machinery works; it is no evidence for what distillation from a real teacher brings
"""


def _scene_names(names: Sequence[str]) -> str:
    """Return the names, or the first and last of many, with their number."""
    shown = ", ".join(names) if len(names) <= _MOST_NAMES else f"{names[0]} ... {names[-1]}"
    return f"{shown} ({len(names)})"


def _table(validation: Validation | None) -> str:
    if validation is None:
        return "Not validated yet."
    rows = (
        ("student", "exact depth", validation.dense),
        ("training mean", "exact depth", validation.baseline_dense),
        ("student", "LiDAR", validation.lidar),
        ("training mean", "LiDAR", validation.baseline_lidar),
    )
    return "\n".join((_HEADER, _RULE, *(_row(*row) for row in rows if row[2].n_pixels)))


def _row(predictor: str, truth: str, e: DepthErrors) -> str:
    values = (f"{v:.3f}" for v in (e.abs_rel, e.sq_rel, e.rmse, e.rmse_log, e.a1, e.a2, e.a3))
    return f"| {predictor} | {truth} | " + " | ".join(values) + " |"


def _limits(config: TrainConfig) -> str:
    sets = config.data.sets().values()
    if all(one.kind == "synthetic" for one in sets):
        return (
            "It has seen synthetic streets only. Do not trust its depth on real images; train on real drives first.\n"
            "Numbers on synthetic data are not comparable with published ones."
        )
    rigs = "one data set's rig" if len(sets) == 1 else f"the rigs of {len(sets)} data sets"
    return f"Trained on {rigs}; validate on your own vehicle before use."
