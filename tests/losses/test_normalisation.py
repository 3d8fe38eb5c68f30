"""Affine-invariant comparison, worked by hand and compared with the published HDN code's behaviour."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from surround_depth.losses.normalisation import Norm, global_norm, normalised_difference

NAN = math.nan
INVARIANT: tuple[Norm, ...] = ("global", "hybrid", "local")


def row(values: list[float]) -> torch.Tensor:
    """[P] -> [1, 1, 1, P]"""
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


def everywhere(values: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(values, dtype=torch.bool)


def world(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x, r, mask [2, 2, 6, 7]; r is NaN outside the mask."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, 2, 6, 7, generator=generator, dtype=torch.float64)
    r = (x + 0.4 * torch.rand(x.shape, generator=generator, dtype=torch.float64)) * 9.0 - 2.0
    mask = torch.rand(x.shape, generator=generator) < 0.8
    return x, torch.where(mask, r, NAN), mask


def hdn_as_published(
    x: NDArray[np.float64], r: NDArray[np.float64], valid: NDArray[np.bool_], levels: int = 3
) -> NDArray[np.float64]:
    """The loss per pixel as icoz69/HDN@df9bb5fe has it, literally: every last segment is open at its far end."""

    def aligned(d: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        ordered = np.sort(d[inside])
        t = ordered[(len(ordered) - 1) // 2] if len(ordered) else 0.0
        return (d - t) / (np.abs(d - t)[inside].sum() / (inside.sum() + 1) + 1e-6)

    low, high = r[valid].min(), r[valid].max()
    total, times = np.zeros_like(x), np.zeros_like(x)
    for size in [0.5**i for i in range(levels)]:
        for i in range(int(1 / size)):
            inside = valid & (r >= low + (high - low) * i * size) & (r < low + (high - low) * (i + 1) * size + 1e-30)
            total[inside] += np.abs(aligned(x, inside) - aligned(r, inside))[inside]
            times += inside
    return np.divide(total, times, out=total, where=times > 0)


def test_global_by_hand() -> None:
    r, x = row([0.0, 1.0, 2.0, 3.0, 4.0]), row([0.0, 2.0, 4.0, 6.0, 18.0])
    # r: t = 2, s = 6/6; x: t = 4, s = 22/6
    found = normalised_difference(x, r, everywhere(r), "global")
    assert found.flatten().tolist() == pytest.approx([10 / 11, 5 / 11, 0.0, 5 / 11, 20 / 11], abs=1e-5)


def test_the_median_of_an_even_count_is_the_lower() -> None:
    d = row([9.0, NAN, 0.0, 2.0, 1.0])
    # t = 1, s = (8 + 1 + 1 + 0) / 5
    expected = [4.0, 0.0, -0.5, 0.5, 0.0]
    assert global_norm(d, d.isfinite()).flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_local_by_hand_with_empty_segments_and_the_last_one_closed() -> None:
    # edges 4, 8, 12: three pixels in the first segment, three in the last, the greatest among them
    r, x = row([0.0, 1.0, 2.0, 12.0, 13.0, 16.0]), row([0.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    found = normalised_difference(x, r, everywhere(r), "local")
    # N(r) = -2, 0, 2 | -1, 0, 3 and N(x) = -3, 0, 1 | -2, 0, 2
    assert found.flatten().tolist() == pytest.approx([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], abs=1e-4)


def test_none_compares_the_maps_as_they_are() -> None:
    r, x = row([1.0, NAN, 4.0]), row([3.0, 5.0, 3.5])
    assert normalised_difference(x, r, r.isfinite(), "none").flatten().tolist() == [2.0, 0.0, 0.5]


def test_hybrid_is_what_the_published_code_computes_but_for_the_pixel_it_loses() -> None:
    """The published contexts lose the greatest target. Give it one more, a hair greater than ours: it loses that."""
    x, r, mask = world()
    found = normalised_difference(x, r, mask, "hybrid")
    for b, n in np.ndindex(2, 2):
        inside = mask[b, n].numpy()
        ours_x, ours_r = x[b, n].numpy()[inside], r[b, n].numpy()[inside]
        with_lost = np.append(ours_r, np.nextafter(ours_r.max(), np.inf))
        published = hdn_as_published(np.append(ours_x, 77.0), with_lost, np.ones(len(with_lost), bool))
        assert published[-1] == 0.0
        assert found[b, n].numpy()[inside] == pytest.approx(published[:-1], rel=1e-9)
    assert (found[~mask] == 0).all()


@pytest.mark.parametrize("norm", INVARIANT)
def test_neither_scale_nor_shift_of_either_map_matters(norm: Norm) -> None:
    x, r, mask = world()
    base = normalised_difference(x, r, mask, norm)
    assert base[mask].mean() > 0.05
    moved = normalised_difference(0.5 * x - 3.0, 40.0 * r + 500.0, mask, norm)
    assert torch.allclose(moved, base, atol=1e-4)
    assert normalised_difference(0.1 * r + 5.0, r, mask, norm).max() < 1e-4  # its optimum


@pytest.mark.parametrize("norm", get_args(Norm))
def test_images_do_not_mix_and_nan_outside_the_mask_changes_nothing(norm: Norm) -> None:
    x, r, mask = world()
    mask[1, 0] = False  # a dead camera
    holed = torch.where(mask, x, NAN).requires_grad_()
    found = normalised_difference(holed, r, mask, norm)
    assert torch.equal(found, normalised_difference(x, torch.nan_to_num(r), mask, norm))
    assert torch.equal(found[:1, 1:], normalised_difference(x[:1, 1:], r[:1, 1:], mask[:1, 1:], norm))
    found.sum().backward()
    assert holed.grad is not None
    assert torch.isfinite(holed.grad).all()
    assert (holed.grad[~mask] == 0).all()
    assert (holed.grad[0].abs() > 0).any()


@pytest.mark.parametrize("norm", get_args(Norm))
def test_gradients_agree_with_finite_differences_and_reach_the_student_alone(norm: Norm) -> None:
    x, r, mask = (part[:1, :, :3, :4].contiguous() for part in world(1))
    x.requires_grad_()
    r.requires_grad_()
    weights = torch.rand(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda d: (normalised_difference(d, r.detach(), mask, norm) * weights).sum(), x)
    normalised_difference(x, r, mask, norm).sum().backward()
    assert r.grad is None


def test_gradient_of_the_global_norm_agrees_with_finite_differences() -> None:
    x, _, mask = (part[:1, :, :3, :4].contiguous() for part in world(1))
    weights = torch.rand(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda d: (global_norm(d, mask) * weights).sum(), x.requires_grad_())


def test_a_flat_context_does_not_explode() -> None:
    """Three pixels share one inverse depth; over all, the student's range is 1, so they are divided by 1e-3."""
    r, x = row([0.0, 0.1, 0.2, 2.0, 4.0]), row([0.3, 0.3, 0.3, 0.0, 1.0]).requires_grad_()
    normalised_difference(x, r, everywhere(r), "local")[..., 0].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum().item() == pytest.approx(
        2 / 1e-3, rel=2e-3
    )  # the pixel and the median; 1e-6 would give 2e6


def test_half_precision_is_compared_in_float32() -> None:
    x, r, mask = world()
    found = normalised_difference(x.half(), r.half(), mask, "hybrid")
    assert found.dtype == torch.float32
    expected = normalised_difference(x.half().double(), r.half().double(), mask, "hybrid")
    assert torch.allclose(found.double(), expected, atol=1e-3)
