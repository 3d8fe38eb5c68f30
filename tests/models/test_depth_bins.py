"""Depth bins worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from surround_depth.models.config import BinConfig
from surround_depth.models.decoder import BilinearUpsampling, ConvexUpsampling
from surround_depth.models.depth_bins import (
    BinCenters,
    bin_grid,
    decode_depth,
    mixed_with_ground,
    regress_depth,
    toward_ground,
)

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
    logits = torch.full((1, 1, 1, 1, 8), -100.0)
    logits[..., 2] = 0.0
    logits[..., 3] = math.log(3.0)
    expected_m = 0.25 * math.exp(2.5) + 0.75 * math.exp(3.5)
    assert decode_depth(logits, grid, None, "arithmetic").item() == pytest.approx(expected_m, rel=1e-5)
    assert decode_depth(logits, grid, None, "geometric").item() == pytest.approx(math.exp(3.25), rel=1e-5)
    pushed = decode_depth(logits, grid, torch.full((1, 1, 1, 1), 100.0), "arithmetic")
    assert pushed.item() == pytest.approx(expected_m * math.exp(0.5), rel=1e-5)


def test_depth_gives_way_to_the_ground_in_logarithm() -> None:
    depth_m, ground_per_m = torch.full((1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1), 1 / 12.0)
    for gate, expected_m in ((-99.0, 3.0), (0.0, 6.0), (99.0, 12.0)):  # half way from 3 to 12 in logarithm
        assert toward_ground(depth_m, torch.full((1, 1, 1, 1), gate), ground_per_m).item() == pytest.approx(expected_m)


def test_bins_and_ground_are_one_distribution_with_the_depth_of_both() -> None:
    grid = bin_grid(even_widths(8), LOG)  # one bin = 1 in log, centers at 0.5, 1.5 ...
    logits = torch.full((1, 1, 8, 1, 1), -99.0)
    logits[0, 0, 1] = 0.0
    gate, ground_per_m = torch.full((1, 1, 1, 1), math.log(3.0)), torch.full((1, 1, 1, 1), math.exp(-4.0))
    p = mixed_with_ground(logits, gate, ground_per_m, grid).exp().flatten()
    # a quarter for bin 1, three for the ground in the middle of all bins, two bins wide
    bump = [math.exp(-0.5 * ((k - 3.5) / 2.0) ** 2) for k in range(8)]
    expected = [0.75 * b / sum(bump) + (0.25 if k == 1 else 0.0) for k, b in enumerate(bump)]
    assert p.tolist() == pytest.approx(expected, abs=1e-6)
    mean_log = (p * grid.centers_m.log().flatten()).sum().item()
    decoded_m = toward_ground(decode_depth(logits.movedim(2, -1), grid, None, "geometric"), gate, ground_per_m).item()
    assert mean_log == pytest.approx(math.log(decoded_m), abs=1e-4)


def adaptive(centers: str, seed: int = 0) -> BinCenters:
    """Bin centers whose last layer has learned something: it starts at zero."""
    torch.manual_seed(seed)
    module = BinCenters(16, BinConfig(n_bins=64, centers=centers))  # type: ignore[arg-type]
    assert module.widths is not None
    torch.nn.init.normal_(module.widths[-1].weight, std=10.0)
    return module


def test_adaptive_centers_start_even() -> None:
    config = BinConfig(n_bins=64, centers="sample")
    grid = BinCenters(16, config)(torch.randn(1, 16), torch.randn(1, 2, 16))
    assert torch.allclose(grid.centers_m[0, 0], bin_grid(even_widths(64), config).centers_m[0, 0], rtol=1e-4)


def test_adaptive_bins_stay_ordered_and_within_a_factor_of_each_other_whatever_the_token() -> None:
    grid = adaptive("sample")(1e3 * torch.randn(1, 16), torch.zeros(1, 2, 16))
    log_widths = grid.edges_m.log().diff(dim=-1)
    assert (log_widths > 0).all()
    assert 1.5 < (log_widths.max() / log_widths.min()).item() <= math.e**2 * 1.001
    assert grid.edges_m[0, 0, -1].item() == pytest.approx(80.0, rel=1e-4)
    assert torch.equal(grid.centers_m[:, 0], grid.centers_m[:, 1])  # centers: sample


def test_centers_per_image_differ() -> None:
    grid = adaptive("image")(torch.zeros(1, 16), torch.randn(1, 2, 16))
    assert not torch.equal(grid.centers_m[:, 0], grid.centers_m[:, 1])


def test_canonical_bins_are_those_of_twice_the_focal_length_twice_as_far() -> None:
    config = BinConfig(n_bins=64, min_depth_m=0.5, max_depth_m=80.0)
    log_scale = torch.tensor([[0.0, math.log(2.0), 9.0, -9.0]])
    grid = BinCenters(16, config)(torch.zeros(1, 16), torch.zeros(1, 4, 16), log_scale)
    assert torch.allclose(grid.centers_m[0, 1], 2.0 * grid.centers_m[0, 0], rtol=1e-5)
    assert grid.edges_m[0, 0, [0, -1]].tolist() == pytest.approx([0.5 / 4, 80.0 * 4], rel=1e-4)
    assert grid.edges_m[0, 2, 0].item() == pytest.approx(0.5, rel=1e-4)  # no camera's range begins beyond dmin
    assert grid.edges_m[0, 3, -1].item() == pytest.approx(80.0, rel=1e-4)  # nor ends before dmax


def test_a_plain_regression_by_hand() -> None:
    config = BinConfig(min_depth_m=1.0, max_depth_m=math.e**4)
    value = torch.full((1, 2, 1, 1), math.log(3.0))  # sigmoid 0.75: three quarters of the way, in log
    assert regress_depth(value, config, None).log().flatten().tolist() == pytest.approx([3.0, 3.0], rel=1e-5)
    moved = regress_depth(torch.zeros(1, 2, 1, 1), config, torch.tensor([[math.log(2.0), -9.0]]))
    # the canonical range is -ln 4 to 4 + ln 4, its middle 2; a scale beyond the reach stops at it
    assert moved.log().flatten().tolist() == pytest.approx([2.0 + math.log(2.0), 2.0 - math.log(4.0)], rel=1e-5)


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
        convex.weights.bias.view(5, 16).fill_(-50.0)[2] = 50.0
    sharp = convex(coarse, torch.randn(1, 8, 4, 4))
    assert torch.allclose(sharp, coarse.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3), atol=1e-5)
    soft = BilinearUpsampling()(coarse)
    assert ((soft > 0.1) & (soft < 4.9)).any()


def test_convex_upsampling_mixes_a_cell_and_the_four_beside_it() -> None:
    """By hand: a weight alone chooses the cell above, left, itself, right or below; borders repeat."""
    convex = ConvexUpsampling(1)
    coarse = torch.arange(12.0).reshape(1, 1, 3, 4)
    padded = torch.nn.functional.pad(coarse, (1, 1, 1, 1), mode="replicate")
    for k, (down, right) in enumerate(((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))):
        with torch.no_grad():
            convex.weights.weight.zero_()
            convex.weights.bias.view(5, 16).fill_(-50.0)[k] = 50.0
        chosen = padded[:, :, 1 + down : 4 + down, 1 + right : 5 + right]
        expected = chosen.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
        assert torch.allclose(convex(coarse, torch.zeros(1, 1, 3, 4)), expected, atol=1e-5), k


def test_five_cells_hold_an_affine_map_exactly() -> None:
    """Weights 1 - |dx| - |dy|, |dx| and |dy| at the places 1/8 and 3/8 of a cell off its centre."""
    convex = ConvexUpsampling(1)
    offsets = torch.tensor([-0.375, -0.125, 0.125, 0.375])
    dy, dx = torch.meshgrid(offsets, offsets, indexing="ij")
    weights = torch.stack(
        ((-dy).clamp(min=0), (-dx).clamp(min=0), 1 - dx.abs() - dy.abs(), dx.clamp(min=0), dy.clamp(min=0))
    )
    with torch.no_grad():
        convex.weights.weight.zero_()
        convex.weights.bias.copy_(weights.clamp(min=1e-9).log().reshape(-1))
    v, u = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    fine_v, fine_u = torch.meshgrid((torch.arange(24) - 1.5) / 4, (torch.arange(32) - 1.5) / 4, indexing="ij")
    fine = convex((0.7 * u - 1.3 * v)[None, None], torch.zeros(1, 1, 6, 8))[0, 0]
    inside = (slice(2, -2), slice(2, -2))  # half a cell within the border, where no neighbour is repeated
    assert torch.allclose(fine[inside], (0.7 * fine_u - 1.3 * fine_v)[inside], atol=1e-3)


def test_bilinear_upsampling_is_torchs_own() -> None:
    torch.manual_seed(0)
    coarse = torch.randn(2, 1, 3, 5)
    expected = torch.nn.functional.interpolate(coarse, scale_factor=4.0, mode="bilinear", align_corners=False)
    assert torch.allclose(BilinearUpsampling()(coarse), expected, atol=1e-6)
