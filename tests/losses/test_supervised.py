"""Losses against LiDAR, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from surround_depth.losses.supervised import (
    center_chamfer,
    confidence_on_sky,
    confidence_on_truth,
    l1,
    laplace,
    log_l1,
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


AGAINST_TRUTH = [
    silog,
    l1,
    log_l1,
    lambda d, g, m: laplace(torch.zeros_like(d), d, g, m),
    lambda d, g, m: laplace(d, torch.ones_like(d), g, m),  # of the confidence
    lambda d, g, m: confidence_on_truth(d, d, g, m),
]


@pytest.mark.parametrize("loss", AGAINST_TRUTH)
def test_empty_mask_gives_zero_and_zero_gradient(loss) -> None:  # type: ignore[no-untyped-def]
    depth_m = torch.full((1, 2, 4, 4), 10.0, requires_grad=True)
    term = loss(depth_m, torch.full((1, 2, 4, 4), NAN), torch.zeros(1, 2, 4, 4, dtype=torch.bool))
    term.value.backward()
    assert term.value.item() == 0.0
    assert depth_m.grad is not None
    assert (depth_m.grad == 0).all()


@pytest.mark.parametrize("loss", AGAINST_TRUTH[:5])
def test_nan_outside_the_mask_changes_nothing(loss) -> None:  # type: ignore[no-untyped-def]
    truth_m = torch.full((1, 1, 8, 8), 10.0)
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    depth_m = torch.full((1, 1, 8, 8), 12.0, requires_grad=True)
    holed = torch.where(mask, truth_m, NAN)
    term = loss(depth_m, holed, mask)
    term.value.backward()
    assert term.value.item() == pytest.approx(loss(depth_m, truth_m, mask).value.item())
    assert depth_m.grad is not None
    assert torch.isfinite(depth_m.grad).all()
    assert (depth_m.grad[..., 4:] == 0).all()
    assert (depth_m.grad[..., :4] != 0).all()


def test_l1_by_hand() -> None:
    truth_m = torch.tensor([10.0, 2.0, 40.0, NAN]).reshape(1, 1, 1, 4)
    depth_m = torch.tensor([10.0 * math.e, 2.0 / math.e, 40.0, 7.0]).reshape(1, 1, 1, 4)
    mask = truth_m.isfinite()
    assert log_l1(depth_m, truth_m, mask).value.item() == pytest.approx((1 + 1 + 0) / 3)
    metres = 10.0 * (math.e - 1) + 2.0 * (1 - 1 / math.e)
    assert l1(depth_m, truth_m, mask).value.item() == pytest.approx(metres / 3)
    assert l1(depth_m, truth_m, mask).count.item() == 3


@pytest.mark.parametrize(("depth_m", "p"), [(10.0, 0.5), (12.5, 0.5), (5.0, 0.9), (40.0, 0.1)])
def test_laplace_is_the_density_whose_mass_within_25_percent_is_the_confidence(depth_m: float, p: float) -> None:
    """scipy finds the scale from the confidence by bisection, and the density at the error."""
    b = optimize.brentq(lambda scale: float(2 * stats.laplace.cdf(math.log(1.25), scale=scale) - 1) - p, 1e-3, 1e3)
    logit = torch.full((1, 1, 1, 1), math.log(p / (1 - p)))
    depth, truth = torch.full_like(logit, depth_m), torch.full_like(logit, 10.0)
    found = laplace(logit, depth, truth, torch.ones_like(logit, dtype=torch.bool)).value.item()
    assert found == pytest.approx(-stats.laplace.logpdf(math.log(depth_m / 10.0), scale=b), rel=1e-5)


def test_laplace_is_least_where_the_scale_is_the_mean_error() -> None:
    """The maximum likelihood scale of a Laplace law is mean |e|: here 0.2, so the best confidence is 1 - 1.25^(-5)."""
    e = torch.tensor([0.1, -0.3, 0.2, -0.2]).reshape(1, 1, 1, 4)
    truth_m, mask = torch.full_like(e, 10.0), torch.ones_like(e, dtype=torch.bool)
    p = torch.linspace(0.3, 0.95, 651)
    losses = [laplace(torch.full_like(e, x), truth_m * e.exp(), truth_m, mask).value.item() for x in torch.logit(p)]
    assert p[int(np.argmin(losses))].item() == pytest.approx(1 - 1.25**-5, abs=2e-3)


@pytest.mark.parametrize("logit", [-1e4, -90.0, -5.0, 40.0, 1e4])
@pytest.mark.parametrize("depth_m", [0.5, 10.0, 80.0])
def test_laplace_of_extreme_logits_is_finite(logit: float, depth_m: float) -> None:
    logits = torch.full((1, 1, 1, 1), logit).requires_grad_()
    depth = torch.full((1, 1, 1, 1), depth_m).requires_grad_()
    term = laplace(logits, depth, torch.full((1, 1, 1, 1), 10.0), torch.ones(1, 1, 1, 1, dtype=torch.bool))
    term.value.backward()
    for leaf in (logits, depth):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
    assert torch.isfinite(term.value)
    assert depth_m == 10.0 or (depth.grad * (depth_m - 10.0) > 0).all()  # it always learns, whatever the confidence


def test_gradients_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float) -> torch.Tensor:
        return torch.rand(1, 2, 3, 4, generator=generator, dtype=torch.float64) * (high - low) + low

    depth_m, logit = uniform(2.0, 8.0).requires_grad_(), uniform(-3.0, 5.0).requires_grad_()
    truth_m = uniform(9.0, 30.0)
    mask = torch.rand(1, 2, 3, 4, generator=generator) < 0.7
    truth_m = torch.where(mask, truth_m, NAN)
    assert torch.autograd.gradcheck(lambda d: l1(d, truth_m, mask).value, depth_m)
    assert torch.autograd.gradcheck(lambda d: log_l1(d, truth_m, mask).value, depth_m)
    assert torch.autograd.gradcheck(lambda z, d: laplace(z, d, truth_m, mask).value, (logit, depth_m))


def test_chamfer_by_hand() -> None:
    centers_m = torch.tensor([[[1.0, math.e**2]]])
    truth_m = torch.full((1, 1, 1, 2), NAN)
    truth_m[..., 0] = math.e  # one point: 1 away, in log, from both centers
    term = center_chamfer(centers_m, truth_m, torch.isfinite(truth_m), (0.5, 80.0))
    assert term.value.item() == pytest.approx(1.0 + 1.0, rel=1e-5)
    assert term.count.item() == 1


def test_chamfer_leaves_centers_beyond_the_range_alone() -> None:
    centers_m = torch.tensor([[[0.1, 1.0, math.e**2, 300.0]]], requires_grad=True)
    truth_m = torch.full((1, 1, 1, 1), math.e)
    term = center_chamfer(centers_m, truth_m, torch.isfinite(truth_m), (0.5, 80.0))
    assert term.value.item() == pytest.approx(1.0 + 1.0, rel=1e-5)  # as if the outer two were not there
    term.value.backward()
    assert centers_m.grad is not None
    assert centers_m.grad[0, 0, [0, 3]].tolist() == [0.0, 0.0]


def test_chamfer_without_points_is_zero() -> None:
    centers_m = torch.ones(1, 2, 8)
    term = center_chamfer(
        centers_m, torch.full((1, 2, 4, 4), NAN), torch.zeros(1, 2, 4, 4, dtype=torch.bool), (0.5, 80.0)
    )
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
