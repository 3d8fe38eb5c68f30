"""Alignment of relative depth to metres (D3)."""

from __future__ import annotations

import pytest
import torch

from surround_depth.teachers.alignment import MIN_POINTS, aligned_depth, fit_affine

H, W = 16, 20


def scene() -> torch.Tensor:
    return torch.rand(1, 2, H, W, generator=torch.Generator().manual_seed(0)) * 40 + 2


def everywhere() -> torch.Tensor:
    return torch.ones(1, 2, H, W, dtype=torch.bool)


def test_recovers_scale_and_shift_by_hand() -> None:
    depth_m = scene()
    relative = 4.0 / depth_m - 0.5  # 1/d = 0.25 r + 0.125
    fit = fit_affine(relative, depth_m, everywhere())
    assert fit.scale.flatten().tolist() == pytest.approx([0.25, 0.25], rel=1e-5)
    assert fit.shift.flatten().tolist() == pytest.approx([0.125, 0.125], rel=1e-5)
    assert fit.usable.all()
    assert torch.allclose(aligned_depth(relative, fit, 0.5, 80.0), depth_m, rtol=1e-4)


@pytest.mark.parametrize("scale, shift", [(0.01, 5.0), (1.0, 0.0), (300.0, -40.0)])
def test_aligned_depth_does_not_depend_on_the_teachers_affine_frame(scale: float, shift: float) -> None:
    depth_m = scene()
    noisy = 1.0 / depth_m.double() + 0.02 * torch.sin(torch.arange(W) * 1.0)
    base = aligned_depth(noisy, fit_affine(noisy, depth_m, everywhere()), 0.5, 80.0)
    moved = scale * noisy + shift
    again = aligned_depth(moved, fit_affine(moved, depth_m, everywhere()), 0.5, 80.0)
    assert torch.allclose(base, again, rtol=1e-5)


@pytest.mark.parametrize("factor", [3.0, 10.0])
def test_points_seen_past_an_occluder_do_not_tip_the_fit(factor: float) -> None:
    depth_m = scene()
    relative = 1.0 / depth_m
    spoilt = depth_m.clone()
    spoilt.view(-1)[::10] *= factor  # every tenth return is far behind
    fit = fit_affine(relative, spoilt, everywhere())
    assert (aligned_depth(relative, fit, 0.5, 80.0) / depth_m - 1).abs().median() < 0.03


def test_images_that_cannot_be_aligned_are_not_usable() -> None:
    depth_m = scene()
    few = everywhere()
    few[0, 0].view(-1)[MIN_POINTS - 1 :] = False
    assert fit_affine(1 / depth_m, depth_m, few).usable.tolist() == [[False, True]]
    assert not fit_affine(depth_m, depth_m, everywhere()).usable.any()  # grows with distance: scale < 0
    assert not fit_affine(torch.ones_like(depth_m), depth_m, everywhere()).usable.any()  # flat


def test_nothing_is_nan_without_points_or_with_nan_outside_the_mask() -> None:
    nowhere = torch.zeros(1, 2, H, W, dtype=torch.bool)
    fit = fit_affine(torch.full((1, 2, H, W), torch.nan), torch.full((1, 2, H, W), torch.nan), nowhere)
    assert not fit.usable.any()
    assert torch.isfinite(aligned_depth(torch.zeros(1, 2, H, W), fit, 0.5, 80.0)).all()
