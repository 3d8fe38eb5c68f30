"""Depth bins worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from surround_depth.models.config import BinConfig
from surround_depth.models.decoder import BilinearUpsampling, ConvexUpsampling
from surround_depth.models.depth_bins import BinCenters, bin_grid, decode_depth, ground_logits

LOG = BinConfig(n_bins=8, min_depth_m=1.0, max_depth_m=math.e**8)


def even_widths(n_bins: int) -> torch.Tensor:
    return torch.full((1, 1, n_bins), 1.0 / n_bins)


def test_log_bins_by_hand() -> None:
    grid = bin_grid(even_widths(8), LOG)
    assert grid.edges_m.log().flatten().tolist() == pytest.approx(list(range(9)), abs=1e-5)
    assert grid.centers_m.log().flatten().tolist() == pytest.approx([k + 0.5 for k in range(8)], abs=1e-5)


def test_linear_bins_by_hand() -> None:
    grid = bin_grid(even_widths(8), BinConfig(n_bins=8, min_depth_m=2.0, max_depth_m=10.0, space="linear"))
    assert grid.edges_m.flatten().tolist() == pytest.approx(list(range(2, 11)))
    assert grid.centers_m[0, 0, 0].item() == pytest.approx(2.5)


def test_depth_is_the_expected_center_moved_by_at_most_half_a_bin() -> None:
    grid = bin_grid(even_widths(8), LOG)
    logits = torch.full((1, 1, 8, 1, 1), -100.0)
    logits[0, 0, 2] = 0.0
    logits[0, 0, 3] = math.log(3.0)
    expected_m = 0.25 * math.exp(2.5) + 0.75 * math.exp(3.5)
    assert decode_depth(logits, grid, None).item() == pytest.approx(expected_m, rel=1e-5)
    pushed = decode_depth(logits, grid, torch.full((1, 1, 1, 1), 100.0))
    assert pushed.item() == pytest.approx(expected_m * math.exp(0.5), rel=1e-5)


def test_the_ground_speaks_for_its_own_bin() -> None:
    grid = bin_grid(even_widths(8), LOG)  # one bin = 1 in log
    ground_m = math.exp(3.5)  # the center of bin 3
    logits = ground_logits(torch.full((1, 1, 1, 1), 6.0), torch.full((1, 1, 1, 1), 1 / ground_m), grid).flatten()
    assert logits[3].item() == pytest.approx(6.0, rel=1e-5)
    assert logits[2].item() == pytest.approx(6.0 * math.exp(-0.5), rel=1e-4)
    assert logits[7].item() == pytest.approx(6.0 * math.exp(-8.0), rel=1e-3)


def test_centers_start_even_and_stay_ordered_whatever_the_token() -> None:
    torch.manual_seed(0)
    config = BinConfig(n_bins=64, centers="sample")
    centers = BinCenters(16, config)
    grid = centers(torch.zeros(1, 16), torch.zeros(1, 2, 16))
    even = bin_grid(even_widths(64), config)
    assert torch.allclose(grid.centers_m[0, 0], even.centers_m[0, 0], rtol=0.1)
    wild = centers(1e3 * torch.randn(1, 16), torch.zeros(1, 2, 16))
    assert (wild.edges_m.diff(dim=-1) > 0).all()
    assert wild.edges_m[0, 0, -1].item() == pytest.approx(80.0, rel=1e-4)
    assert torch.equal(wild.centers_m[:, 0], wild.centers_m[:, 1])  # centers: sample


def test_centers_per_image_differ() -> None:
    torch.manual_seed(0)
    centers = BinCenters(16, BinConfig(centers="image"))
    grid = centers(torch.zeros(1, 16), 100 * torch.randn(1, 2, 16))
    assert not torch.equal(grid.centers_m[:, 0], grid.centers_m[:, 1])


def test_range_must_be_a_range() -> None:
    with pytest.raises(ValueError, match="below max_depth_m"):
        BinConfig(min_depth_m=80.0, max_depth_m=80.0)


def test_convex_upsampling_stays_between_its_neighbours_and_can_keep_an_edge() -> None:
    torch.manual_seed(0)
    coarse = torch.tensor([0.0, 0.0, 5.0, 5.0]).expand(1, 1, 4, 4).contiguous()
    convex = ConvexUpsampling(8)
    fine = convex(coarse, torch.randn(1, 8, 4, 4))
    assert fine.shape == (1, 1, 16, 16)
    assert fine.min() >= 0
    assert fine.max() <= 5 + 1e-6
    with torch.no_grad():  # weights that choose the cell itself
        convex.weights.weight.zero_()
        convex.weights.bias.view(9, 16).fill_(-50.0)[4] = 50.0
    sharp = convex(coarse, torch.randn(1, 8, 4, 4))
    assert torch.allclose(sharp, coarse.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3), atol=1e-5)
    soft = BilinearUpsampling()(coarse, torch.zeros(0))
    assert ((soft > 0.1) & (soft < 4.9)).any()
