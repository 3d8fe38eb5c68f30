"""Losses against LiDAR, worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from surround_depth.losses.supervised import (
    center_chamfer,
    confidence_on_sky,
    confidence_on_truth,
    silog,
    sky_distance,
)

NAN = math.nan


def maps(values: list[list[float]]) -> torch.Tensor:
    """[N][16 pixels] -> [1, N, 4, 4]."""
    return torch.tensor(values).reshape(1, len(values), 4, 4)


def test_silog_of_a_constant_scale_error() -> None:
    truth_m = torch.full((1, 1, 4, 4), 10.0)
    term = silog(truth_m * math.e, truth_m, torch.ones(1, 1, 4, 4, dtype=torch.bool))
    # every e = 1: 10 sqrt(1 - 0.85)
    assert term.value.item() == pytest.approx(10 * math.sqrt(0.15), rel=1e-6)
    assert term.count.item() == 16


def test_silog_pools_a_scale_difference_between_cameras_as_variance() -> None:
    truth_m = torch.full((1, 2, 4, 4), 10.0)
    depth_m = truth_m * torch.tensor([math.e, 1 / math.e]).reshape(1, 2, 1, 1)
    mask = torch.ones(1, 2, 4, 4, dtype=torch.bool)
    # pooled: mean e = 0, mean e^2 = 1; apart: each mean e = +-1
    assert silog(depth_m, truth_m, mask, "sample").value.item() == pytest.approx(10.0, rel=1e-6)
    assert silog(depth_m, truth_m, mask, "image").value.item() == pytest.approx(10 * math.sqrt(0.15), rel=1e-6)


def test_silog_leaves_out_pools_of_fewer_than_16_pixels() -> None:
    truth_m = torch.full((1, 1, 4, 4), 10.0)
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    mask[0, 0, 0, 0] = False
    assert silog(2 * truth_m, truth_m, mask).value.item() == 0.0
    assert silog(2 * truth_m, truth_m, mask).count.item() == 0


def test_silog_at_its_optimum_has_a_finite_gradient() -> None:
    depth_m = torch.full((1, 1, 4, 4), 10.0, requires_grad=True)
    silog(depth_m, torch.full((1, 1, 4, 4), 10.0), torch.ones(1, 1, 4, 4, dtype=torch.bool)).value.backward()
    assert depth_m.grad is not None
    assert torch.isfinite(depth_m.grad).all()


@pytest.mark.parametrize("loss", [silog, lambda d, g, m: confidence_on_truth(d, d, g, m)])
def test_empty_mask_gives_zero_and_zero_gradient(loss) -> None:  # type: ignore[no-untyped-def]
    depth_m = torch.full((1, 2, 4, 4), 10.0, requires_grad=True)
    term = loss(depth_m, torch.full((1, 2, 4, 4), NAN), torch.zeros(1, 2, 4, 4, dtype=torch.bool))
    term.value.backward()
    assert term.value.item() == 0.0
    assert depth_m.grad is not None
    assert (depth_m.grad == 0).all()


def test_nan_outside_the_mask_changes_nothing() -> None:
    truth_m = torch.full((1, 1, 8, 8), 10.0)
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    depth_m = torch.full((1, 1, 8, 8), 12.0, requires_grad=True)
    holed = torch.where(mask, truth_m, NAN)
    term = silog(depth_m, holed, mask)
    term.value.backward()
    assert term.value.item() == pytest.approx(silog(depth_m, truth_m, mask).value.item())
    assert depth_m.grad is not None
    assert torch.isfinite(depth_m.grad).all()
    assert (depth_m.grad[..., 4:] == 0).all()


def test_chamfer_by_hand() -> None:
    centers_m = torch.tensor([[[1.0, math.e**2]]])
    truth_m = torch.full((1, 1, 1, 2), NAN)
    truth_m[..., 0] = math.e  # one point: 1 away, in log, from both centers
    term = center_chamfer(centers_m, truth_m, torch.isfinite(truth_m))
    assert term.value.item() == pytest.approx(1.0 + 1.0, rel=1e-5)
    assert term.count.item() == 1


def test_chamfer_without_points_is_zero() -> None:
    centers_m = torch.ones(1, 2, 8)
    term = center_chamfer(centers_m, torch.full((1, 2, 4, 4), NAN), torch.zeros(1, 2, 4, 4, dtype=torch.bool))
    assert (term.value.item(), term.count.item()) == (0.0, 0)


def test_sky_is_drawn_to_the_far_end() -> None:
    depth_m = torch.full((1, 1, 1, 2), 80.0 / math.e)
    sky = torch.tensor([[[[True, False]]]])
    assert sky_distance(depth_m, sky, 80.0).value.item() == pytest.approx(1.0, rel=1e-5)
    assert sky_distance(torch.full_like(depth_m, 80.0), sky, 80.0).value.item() == 0.0


def test_confidence_is_the_probability_of_a_hit() -> None:
    truth_m = torch.full((1, 1, 1, 4), 10.0)
    depth_m = torch.tensor([12.4, 12.6, 8.1, 7.9]).reshape(1, 1, 1, 4).requires_grad_()  # hit, miss, hit, miss
    mask = torch.ones_like(truth_m, dtype=torch.bool)
    logit = torch.tensor([9.0, -9.0, 9.0, -9.0]).reshape(1, 1, 1, 4).requires_grad_()
    right = confidence_on_truth(logit, depth_m, truth_m, mask).value
    assert right.item() == pytest.approx(math.log1p(math.exp(-9.0)), rel=1e-2)
    assert confidence_on_truth(-logit, depth_m, truth_m, mask).value.item() == pytest.approx(9.0, abs=1e-3)
    right.backward()
    assert depth_m.grad is None
    assert confidence_on_sky(logit, mask).value.item() == pytest.approx(4.5, abs=1e-3)
