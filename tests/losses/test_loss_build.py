"""The objective: weights, ramp, dead cameras, nothing to learn from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from surround_depth.errors import ConfigError
from surround_depth.losses.build import LossConfig, Targets, at_cell_centers, training_loss
from surround_depth.losses.photometric import PhotometricConfig, ViewContext
from surround_depth.models.config import BinConfig

B, N, M, H, W = 2, 3, 8, 16, 24
EDGES = torch.logspace(-0.3, 1.9, M + 1).expand(B, N, M + 1)


@dataclass(frozen=True)
class FakePrediction:
    depth_m: torch.Tensor
    confidence_logit: torch.Tensor
    logits: torch.Tensor | None
    edges_m: torch.Tensor
    centers_m: torch.Tensor


def prediction() -> FakePrediction:
    generator = torch.Generator().manual_seed(0)
    leaf = [
        (torch.rand(B, N, H, W, generator=generator) * 20 + 1).requires_grad_(),
        torch.randn(B, N, H, W, generator=generator).requires_grad_(),
        torch.randn(B, N, M, H // 4, W // 4, generator=generator).requires_grad_(),
    ]
    return FakePrediction(*leaf, EDGES, (EDGES[..., 1:] * EDGES[..., :-1]).sqrt().requires_grad_())


def targets() -> Targets:
    generator = torch.Generator().manual_seed(1)
    truth_m = torch.rand(B, N, H, W, generator=generator) * 20 + 1
    lidar = torch.rand(B, N, H, W, generator=generator) < 0.3
    sky = torch.zeros(B, N, H, W, dtype=torch.bool)
    sky[..., :4, :] = True
    return Targets(torch.where(lidar, truth_m, torch.nan), lidar & ~sky, sky, truth_m, ~sky)


def test_total_is_the_weighted_sum_of_all_raw_terms() -> None:
    config = LossConfig(l1=0.2, log_l1=0.7, laplace=0.4, chamfer=0.1, x1=0.5, dense=0.3)
    report = training_loss(prediction(), targets(), config, bins=BinConfig(), progress=1.0)
    against_lidar = {"silog", "l1", "log_l1", "laplace", "chamfer", "confidence"}
    assert set(report.terms) == against_lidar | {"sky", "confidence_sky", "kl", "x1", "dense"}
    expected = sum(getattr(config, name) * term.value.item() for name, term in report.terms.items())
    assert report.total.item() == pytest.approx(expected, rel=1e-6)
    assert all(int(term.count) > 0 for term in report.terms.values())


def test_teacher_terms_are_ramped_in() -> None:
    start = training_loss(prediction(), targets(), LossConfig(x1=0.5), bins=BinConfig(), progress=0.0)
    alone = LossConfig(kl=0.0)
    assert start.total.item() == pytest.approx(
        training_loss(prediction(), targets(), alone, bins=BinConfig(), progress=0.0).total.item()
    )
    assert start.terms["kl"].value.item() > 0


def test_nothing_to_learn_from_is_zero_without_nan() -> None:
    nothing = torch.zeros(B, N, H, W, dtype=torch.bool)
    empty = Targets(torch.full((B, N, H, W), torch.nan), nothing, nothing, torch.ones(B, N, H, W), nothing)
    guess = prediction()
    report = training_loss(guess, empty, LossConfig(dense=1.0), bins=BinConfig(), progress=1.0)
    report.total.backward()
    assert report.total.item() == 0.0
    assert guess.logits is not None
    assert guess.logits.grad is not None
    assert (guess.logits.grad == 0).all()


def test_a_dead_camera_has_no_say() -> None:
    truth = targets()
    dead = torch.ones(B, N, 1, 1, dtype=torch.bool)
    dead[:, 1] = False
    masked = replace(
        truth,
        lidar_mask=truth.lidar_mask & dead,
        sky=truth.sky & dead,
        teacher_mask=truth.teacher_mask & dead,
        teacher_m=torch.where(dead, truth.teacher_m, 1.0),
    )
    guess = prediction()
    training_loss(guess, masked, LossConfig(), bins=BinConfig(), progress=1.0).total.backward()
    for leaf in (guess.depth_m, guess.confidence_logit, guess.logits):
        assert leaf is not None
        assert leaf.grad is not None
        assert (leaf.grad[:, 1] == 0).all()


def test_the_photometric_terms_have_weights_of_their_own() -> None:
    generator = torch.Generator().manual_seed(2)
    T_ref_cam = torch.eye(4).repeat(B, 2, N, 1, 1)
    T_ref_cam[:, 1, :, 0, 3] = 0.5  # the other moment's cameras stand half a metre to the right
    context = ViewContext(
        images=torch.randint(0, 256, (B, 2, N, H, W, 3), dtype=torch.uint8, generator=generator),
        valid=torch.ones(B, 2, N, dtype=torch.bool),
        T_ref_cam=T_ref_cam,
        K=torch.tensor([[20.0, 0, 11.5], [0, 20, 7.5], [0, 0, 1]]).expand(B, N, 3, 3),
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
    with pytest.raises(ConfigError, match=r"loss\.kl"):
        training_loss(plain, targets(), LossConfig(), bins=BinConfig(), progress=1.0)


def test_cell_centers_are_picked_not_averaged() -> None:
    full = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert at_cell_centers(full, 4).flatten().tolist() == [18.0, 22.0, 50.0, 54.0]
