"""The objective: weights, ramp, dead cameras, nothing to learn from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from surround_depth.errors import ConfigError
from surround_depth.losses.adapters import Adapters
from surround_depth.losses.build import (
    TERMS,
    needs_adapters,
    needs_features,
    needs_patches,
    training_loss,
    weights_of,
)
from surround_depth.losses.case import Case, Patches, Targets, at_cell_centers
from surround_depth.losses.config import LossConfig
from surround_depth.losses.photometric import PhotometricConfig, ViewContext
from surround_depth.models.config import BinConfig

B, N, M, H, W, C = 2, 3, 8, 32, 48, 5
EDGES = torch.logspace(-0.3, 1.9, M + 1).expand(B, N, M + 1)


@dataclass(frozen=True)
class FakePrediction:
    depth_m: torch.Tensor
    confidence_logit: torch.Tensor
    head_depth_m: torch.Tensor
    features: torch.Tensor
    logits: torch.Tensor | None
    edges_m: torch.Tensor
    centers_m: torch.Tensor


def prediction() -> FakePrediction:
    generator = torch.Generator().manual_seed(0)
    leaf = [
        (torch.rand(B, N, H, W, generator=generator) * 20 + 1).requires_grad_(),
        torch.randn(B, N, H, W, generator=generator).requires_grad_(),
        (torch.rand(B, N, H // 4, W // 4, generator=generator) * 20 + 1).requires_grad_(),
        torch.randn(B, N, C, H // 8, W // 8, generator=generator).requires_grad_(),
        torch.randn(B, N, M, H // 4, W // 4, generator=generator).requires_grad_(),
    ]
    return FakePrediction(*leaf, EDGES, (EDGES[..., 1:] * EDGES[..., :-1]).sqrt().requires_grad_())


def targets() -> Targets:
    generator = torch.Generator().manual_seed(1)
    truth_m = torch.rand(B, N, H, W, generator=generator) * 20 + 1
    lidar = torch.rand(B, N, H, W, generator=generator) < 0.3
    sky = torch.zeros(B, N, H, W, dtype=torch.bool)
    sky[..., :4, :] = True
    return Targets(
        lidar_m=torch.where(lidar, truth_m, torch.nan),
        lidar_mask=lidar & ~sky,
        sky=sky,
        teacher_m=truth_m,
        teacher_mask=~sky,
        relative=1.0 / truth_m,
        relative_mask=~sky,
        seen=torch.ones_like(sky),
        camera_valid=torch.ones(B, N, dtype=torch.bool),
        neighbours=torch.tensor([[1, 2], [0, 2], [0, 1]]).expand(B, N, 2),
        features=torch.randn(B, N, 7, 3, 4, generator=generator),
    )


EVERYTHING = LossConfig.model_validate(
    {
        "l1": 0.2,
        "log_l1": 0.7,
        "laplace": 0.4,
        "chamfer": 0.1,
        "x1": 0.5,
        "x2": 0.3,
        "dense": 0.3,
        "kd_l1": 0.01,
        "kd_silog": 0.2,
        "tie": 0.2,
        "ssi": 0.4,
        "hdn": 0.6,
        "fitnets": 0.1,
        "rkd": 0.2,
        "relation": 0.5,
        "cross_context": {"weight": 0.5},
        "privileged": {"attention": 0.5, "response": 0.25},
        "bins_from": "head",
    }
)


def adapters_of(config: LossConfig) -> Adapters:
    torch.manual_seed(3)
    return Adapters(config, student_channels=C, teacher_channels=7, n_bins=M)


def with_patches(truth: Targets) -> Targets:
    windows = torch.tensor([[0, 0, 16, 24], [16, 24, 16, 24]])
    r = torch.rand(B, N, 2, 16, 24, generator=torch.Generator().manual_seed(4))
    return replace(truth, patches=Patches(r, torch.ones(r.shape, dtype=torch.bool), windows))


def test_total_is_the_weighted_sum_of_all_raw_terms() -> None:
    report = training_loss(
        prediction(),
        with_patches(targets()),
        EVERYTHING,
        bins=BinConfig(),
        progress=1.0,
        adapters=adapters_of(EVERYTHING),
    )
    weights = weights_of(EVERYTHING)
    assert set(report.terms) == set(weights) == set(TERMS) - {"photometric", "smoothness"}
    assert (weights["gradient"], weights["local_global"], weights["attention"]) == (0.5 * 2.0, 0.5 * 0.5, 0.5)
    expected = sum(weights[name] * term.value.item() for name, term in report.terms.items())
    assert report.total.item() == pytest.approx(expected, rel=1e-5)
    assert all(int(term.count) > 0 for term in report.terms.values())


@pytest.mark.parametrize("name", sorted(set(TERMS) - {"photometric", "smoothness"}))
def test_every_term_alone_needs_what_it_says_and_nothing_of_a_dead_camera(name: str) -> None:
    """NaN from a dead camera's teacher and LiDAR reaches nothing; the camera itself learns nothing."""
    term, guess, truth = TERMS[name], prediction(), with_patches(targets())
    dead = torch.ones(B, N, 1, 1, dtype=torch.bool)
    dead[:, 1] = False
    assert truth.patches is not None
    assert truth.features is not None
    hidden = replace(
        truth,
        lidar_m=torch.where(dead, truth.lidar_m, torch.nan),
        lidar_mask=truth.lidar_mask & dead,
        sky=truth.sky & dead,
        teacher_mask=truth.teacher_mask & dead,
        relative=torch.where(dead, truth.relative, torch.nan),
        relative_mask=truth.relative_mask & dead,
        seen=truth.seen & dead,
        camera_valid=dead[..., 0, 0].clone(),
        patches=replace(truth.patches, valid=truth.patches.valid & dead[..., None]),
        features=truth.features if term.features(EVERYTHING) else None,
    )
    case = Case(guess, hidden, EVERYTHING, BinConfig(), adapters_of(EVERYTHING))
    if not term.features(EVERYTHING) and name in ("kl", "x1"):  # `bins_from: head` asks for features by another term
        case = replace(case, config=EVERYTHING.model_copy(update={"bins_from": "depth"}))
    found = term.term(case)
    assert torch.isfinite(found.value)
    found.value.backward()
    leaves = (guess.depth_m, guess.confidence_logit, guess.head_depth_m, guess.logits, guess.features, guess.centers_m)
    learning = []
    for leaf in leaves:
        assert leaf is not None
        assert leaf.grad is None or (leaf.grad[:, 1] == 0).all()
        learning.append(leaf.grad is not None and bool((leaf.grad != 0).any()))
    assert any(learning) != (name == "teacher_head")  # that one teaches the head on the teacher's features alone


def test_the_head_on_the_teachers_features_learns_from_lidar_alone() -> None:
    config = LossConfig(bins_from="head", kl=1.0, silog=0.0, sky=0.0, confidence=0.0, confidence_sky=0.0)
    adapters, guess = adapters_of(config), prediction()
    case = Case(guess, targets(), config, BinConfig(), adapters)
    TERMS["kl"].term(case).value.backward()
    assert all(p.grad is None for p in adapters.parameters())  # what it says to the student is a constant
    assert guess.logits is not None
    assert guess.logits.grad is not None
    TERMS["teacher_head"].term(case).value.backward()
    assert all(p.grad is not None for p in adapters.parameters())


def test_what_a_config_needs() -> None:
    assert not needs_features(LossConfig())
    assert not needs_adapters(LossConfig(relation=1.0))
    assert needs_features(LossConfig(relation=1.0))
    assert not needs_features(LossConfig.model_validate({"relation": 1.0, "view_relation": {"variant": "v3"}}))
    assert needs_features(LossConfig(bins_from="head"))
    assert needs_adapters(LossConfig(bins_from="head"))
    assert not needs_features(LossConfig(bins_from="head", kl=0.0))
    assert needs_patches(LossConfig.model_validate({"cross_context": {"weight": 0.5}}))
    response = LossConfig.model_validate({"privileged": {"response": 1.0}})
    assert needs_adapters(response)
    assert not needs_features(response)


def test_teacher_terms_are_ramped_in() -> None:
    start = training_loss(prediction(), targets(), LossConfig(x1=0.5), bins=BinConfig(), progress=0.0)
    alone = LossConfig(kl=0.0)
    assert start.total.item() == pytest.approx(
        training_loss(prediction(), targets(), alone, bins=BinConfig(), progress=0.0).total.item()
    )
    assert start.terms["kl"].value.item() > 0


def test_nothing_to_learn_from_is_zero_without_nan() -> None:
    nothing = torch.zeros(B, N, H, W, dtype=torch.bool)
    empty = replace(
        targets(),
        lidar_m=torch.full((B, N, H, W), torch.nan),
        lidar_mask=nothing,
        sky=nothing,
        teacher_mask=nothing,
    )
    guess = prediction()
    report = training_loss(guess, empty, LossConfig(dense=1.0), bins=BinConfig(), progress=1.0)
    report.total.backward()
    assert report.total.item() == 0.0
    assert guess.logits is not None
    assert guess.logits.grad is not None
    assert (guess.logits.grad == 0).all()


def test_the_photometric_terms_have_weights_of_their_own() -> None:
    generator = torch.Generator().manual_seed(2)
    T_ref_cam = torch.eye(4).repeat(B, 2, N, 1, 1)
    T_ref_cam[:, 1, :, 0, 3] = 0.5  # the other moment's cameras stand half a metre to the right
    context = ViewContext(
        images=torch.randint(0, 256, (B, 2, N, H, W, 3), dtype=torch.uint8, generator=generator),
        valid=torch.ones(B, 2, N, dtype=torch.bool),
        T_ref_cam=T_ref_cam,
        K=torch.tensor([[40.0, 0, 23.5], [0, 40, 15.5], [0, 0, 1]]).expand(B, N, 3, 3),
        neighbours=torch.tensor([[1, -1], [0, 2], [1, -1]]).expand(B, N, 2),
        own_body=torch.zeros(B, N, H, W, dtype=torch.bool),
    )
    weights = {"weight": 2.0, "smoothness": 0.5}
    config = LossConfig.model_validate({"silog": 0.0, "kl": 0.0, "sky": 0.0, "confidence": 0.0, "confidence_sky": 0.0})
    alone = config.model_copy(update={"photometric": PhotometricConfig(**weights)})
    report = training_loss(prediction(), replace(targets(), context=context), alone, bins=BinConfig(), progress=1.0)
    error, rough = report.terms["photometric"], report.terms["smoothness"]
    assert int(error.count) > 0
    assert report.total.item() == pytest.approx(2.0 * error.value.item() + 0.5 * rough.value.item())
    with pytest.raises(ConfigError, match="without their context"):
        training_loss(prediction(), targets(), alone, bins=BinConfig(), progress=1.0)


def test_a_student_without_bins_trains_on_the_other_terms() -> None:
    plain = replace(prediction(), logits=None)
    config = LossConfig(kl=0.0, dense=1.0)
    report = training_loss(plain, targets(), config, bins=BinConfig(), progress=1.0)
    assert set(report.terms) == {"silog", "sky", "confidence", "confidence_sky", "dense"}
    with pytest.raises(ConfigError, match="this student has none"):
        training_loss(plain, targets(), LossConfig(), bins=BinConfig(), progress=1.0)


def test_cell_centers_are_picked_not_averaged() -> None:
    full = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert at_cell_centers(full, 4).flatten().tolist() == [18.0, 22.0, 50.0, 54.0]
