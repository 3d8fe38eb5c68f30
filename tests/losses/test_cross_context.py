"""P2's terms on a metric student, worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from surround_depth.errors import DataError
from surround_depth.losses.cross_context import (
    CrossContextConfig,
    feature_cosine,
    gradient_match,
    local_global,
    shared_context,
    without_top,
)
from surround_depth.losses.masked import Term

NAN = math.nan
# N(1/d) - N(r), global norm, of these five pixels is (10, 5, 0, -5, 20) / 11: see test_normalisation.py
R = [0.0, 1.0, 2.0, 3.0, 4.0]
DEPTH_M = [1.0, 1 / 3, 1 / 5, 1 / 7, 1 / 19]
WINDOWS = torch.tensor([[0, 0, 1, 5], [0, 3, 1, 5]])

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Term]


def row(values: list[float]) -> torch.Tensor:
    """[P] -> [1, 1, 1, P]"""
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


def everywhere(values: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(values, dtype=torch.bool)


def world() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """depth_m, r, mask [1, 2, 4, 5]."""
    generator = torch.Generator().manual_seed(0)
    depth_m = torch.rand(1, 2, 4, 5, generator=generator, dtype=torch.float64) * 8.0 + 1.0
    r = 3.0 / depth_m + torch.rand(depth_m.shape, generator=generator, dtype=torch.float64)
    return depth_m, r, torch.rand(depth_m.shape, generator=generator) < 0.85


def in_two_patches(depth_m: torch.Tensor, r: torch.Tensor, mask: torch.Tensor) -> Term:
    """`local_global` with the left and right 4 columns of r as patches, valid as `mask` is."""
    width = r.shape[-1]
    windows = torch.tensor([[0, 0, r.shape[-2], width - 1], [0, 1, r.shape[-2], width - 1]])
    patches, valid = (torch.stack((part[..., :-1], part[..., 1:]), dim=2) for part in (r, mask))
    return local_global(depth_m, patches, valid, windows, everywhere(mask), "hybrid", 0.1)


LOSSES: list[Loss] = [
    lambda d, r, m: shared_context(d, r, m, "hybrid", 0.1),
    lambda d, r, m: shared_context(d, r, m, "none", 0.0),
    in_two_patches,
    gradient_match,
    lambda d, r, m: feature_cosine(d[:, :, None] * torch.ones(3, 1, 1), r[:, :, None] - torch.eye(3)[:, :1, None], m),
]


def test_the_weights_are_the_published_ones_and_off_until_asked_for() -> None:
    config = CrossContextConfig()
    inner = (config.shared, config.local_global, config.feature, config.gradient)
    assert inner == (1.0, 0.5, 1.0, 2.0)
    assert (config.alpha, config.drop_top, config.shared_norm, config.local_global_norm) == (
        0.85,
        0.1,
        "hybrid",
        "hybrid",
    )
    assert config.weight == 0.0


def test_shared_context_by_hand() -> None:
    depth_m, r = row(DEPTH_M), row(R)
    term = shared_context(depth_m, r, everywhere(r), "global", 0.0)
    assert term.value.item() == pytest.approx(40 / 11 / 5, rel=1e-4)
    assert term.count.item() == 5
    without_worst = shared_context(depth_m, r, everywhere(r), "global", 0.2)
    assert without_worst.value.item() == pytest.approx(20 / 11 / 4, rel=1e-4)
    assert without_worst.count.item() == 4


def test_none_compares_in_inverse_metres() -> None:
    depth_m, d_A = row([2.0, 4.0]), row([4.0, 4.0])
    term = shared_context(depth_m, 1.0 / d_A, everywhere(depth_m), "none", 0.0)
    assert term.value.item() == pytest.approx(0.25 / 2)


def test_local_global_by_hand() -> None:
    """The first window errs as above; the second agrees with the student up to its own scale and shift."""
    depth_m = row([*DEPTH_M, 2.0, 0.5, 4.0])
    agreeing = 3.0 / depth_m[..., 3:] + 7.0
    patches = torch.stack((row(R), agreeing), dim=2)
    term = local_global(depth_m, patches, everywhere(patches), WINDOWS, everywhere(depth_m), "global", 0.0)
    assert term.value.item() == pytest.approx(40 / 11 / 10, rel=1e-4)
    assert term.count.item() == 10


def test_local_global_counts_where_both_the_student_and_the_patch_do() -> None:
    depth_m = row([*DEPTH_M, 2.0, 0.5, 4.0])
    patches = torch.stack((row(R), 1.0 / depth_m[..., 3:]), dim=2)
    valid, mask = everywhere(patches), everywhere(depth_m)
    valid[0, 0, 1, 0, 0] = False
    mask[..., 5:] = False  # leaves one pixel of the second window
    patches[~valid] = NAN
    term = local_global(depth_m, patches, valid, WINDOWS, mask, "global", 0.0)
    assert term.count.item() == 5 + 1
    assert term.value.item() == pytest.approx(40 / 11 / 6, rel=1e-4)


@pytest.mark.parametrize("window", [[0, 0, 1, 4], [0, 4, 1, 5], [-1, 0, 1, 5]])
def test_a_window_that_does_not_fit_is_refused(window: list[int]) -> None:
    depth_m = row([1.0] * 8)
    patches = row(R)[:, :, None]
    with pytest.raises(DataError, match=r"window \(top .* must lie in the 1x8 picture and have the patches' size 1x5"):
        local_global(depth_m, patches, everywhere(patches), torch.tensor([window]), everywhere(depth_m), "hybrid", 0.1)


def test_gradient_match_by_hand() -> None:
    # scale 0: 5 + 5 + 5 + 25; every 2nd: 10 + 20; every 4th: 10; every 8th: one pixel
    depth_m, r = row(DEPTH_M), row(R)
    assert gradient_match(depth_m, r, everywhere(r)).value.item() == pytest.approx(80 / 11 / 5, rel=1e-4)
    upright = gradient_match(depth_m.transpose(2, 3), r.transpose(2, 3), everywhere(r.transpose(2, 3)))
    assert upright.value.item() == pytest.approx(80 / 11 / 5, rel=1e-4)
    assert upright.count.item() == 5


def test_gradient_match_skips_pairs_with_a_masked_pixel() -> None:
    depth_m, r = row([*DEPTH_M[:2], NAN, *DEPTH_M[2:]]), row([*R[:2], NAN, *R[2:]])
    # scale 0: 5, gap, 5 + 25; every 2nd: 10, gap, -5: nothing; every 4th, over the gap: 10 to -5
    assert gradient_match(depth_m, r, r.isfinite()).value.item() == pytest.approx(50 / 11 / 5, rel=1e-4)


def test_feature_cosine_by_hand() -> None:
    student = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [NAN, 5.0]]).T.reshape(1, 1, 2, 1, 4).requires_grad_()
    teacher = torch.tensor([[0.0, 3.0], [1.0, 1.0], [1.0, 0.1], [1.0, NAN]]).T.reshape(1, 1, 2, 1, 4).requires_grad_()
    mask = torch.tensor([True, True, True, False]).reshape(1, 1, 1, 4)
    term = feature_cosine(student, teacher, mask)  # cosines 0, 0.707 and 0.995: the last agrees well enough
    assert term.value.item() == pytest.approx((1.0 + 1.0 - math.sqrt(0.5)) / 2, rel=1e-5)
    assert term.count.item() == 2
    term.value.backward()
    assert student.grad is not None
    assert teacher.grad is None
    assert (student.grad[..., 2:] == 0).all()
    assert (student.grad[0, 0, 1, 0, :2] < 0).all()  # descent turns the student to the teacher


def test_feature_cosine_ignores_length() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(1, 2, 6, 3, 4, generator=generator) for _ in range(2))
    mask = torch.ones(1, 2, 3, 4, dtype=torch.bool)
    value = feature_cosine(student, teacher, mask).value.item()
    assert feature_cosine(7.0 * student, 0.1 * teacher, mask).value.item() == pytest.approx(value, rel=1e-5)
    assert feature_cosine(3.0 * teacher, teacher, mask).value.item() == 0.0


def test_without_top_drops_a_share_of_each_image_and_never_counts_what_is_masked() -> None:
    losses = torch.tensor([[3.0, 9.0, 1.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0, 0.0]]).reshape(1, 2, 1, 5)
    mask = torch.tensor([[True, False, True, True, True], [True] * 5]).reshape(1, 2, 1, 5)
    kept = without_top(losses, mask, 0.5)
    # two of four, both of loss 9; of five equal ones two, whichever they are
    assert kept[0, 0, 0].tolist() == [True, False, True, False, False]
    assert kept[0, 1].sum() == 3
    assert torch.equal(without_top(losses, mask, 0.0), mask)
    assert torch.equal(without_top(losses, mask, 0.19), mask)  # less than one pixel


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_agree_with_finite_differences_and_reach_the_student_alone(loss: Loss) -> None:
    depth_m, r, mask = world()
    depth_m.requires_grad_()
    r.requires_grad_()
    assert torch.autograd.gradcheck(lambda d: loss(d, r.detach(), mask).value, depth_m)
    loss(depth_m, r, mask).value.backward()
    assert r.grad is None


@pytest.mark.parametrize("loss", LOSSES)
def test_an_empty_mask_gives_zero_and_zero_gradient(loss: Loss) -> None:
    depth_m, r, mask = world()
    depth_m.requires_grad_()
    term = loss(depth_m, torch.full_like(r, NAN), torch.zeros_like(mask))
    term.value.backward()
    assert (term.value.item(), term.count.item()) == (0.0, 0)
    assert depth_m.grad is not None
    assert (depth_m.grad == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_dead_camera_and_nan_outside_the_mask_change_nothing(loss: Loss) -> None:
    depth_m, r, mask = world()
    mask[:, 1] = False
    alone = loss(depth_m[:, :1], r[:, :1], mask[:, :1])
    holed = torch.where(mask, depth_m, NAN).requires_grad_()
    term = loss(holed, torch.where(mask, r, NAN), mask)
    assert term.value.item() == pytest.approx(alone.value.item(), rel=1e-12)
    assert term.count.item() == alone.count.item()
    term.value.backward()
    assert holed.grad is not None
    assert torch.isfinite(holed.grad).all()
    assert (holed.grad[~mask] == 0).all()


@pytest.mark.parametrize("loss", [LOSSES[0], LOSSES[2], LOSSES[3]])
def test_the_teachers_affine_frame_does_not_matter_and_agreement_costs_nothing(loss: Loss) -> None:
    depth_m, r, mask = world()
    value = loss(depth_m, r, mask).value.item()
    assert value > 0.01
    assert loss(depth_m, 25.0 * r + 90.0, mask).value.item() == pytest.approx(value, rel=1e-4)
    assert loss(depth_m, 5.0 / depth_m - 2.0, mask).value.item() == pytest.approx(0.0, abs=1e-4)
