"""Local alignment: each surface is drawn to the returns on it, and to no others."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from surround_depth.teachers.anchoring import anchored_depth

H, W = 24, 48  # a cell of the finest grid is one pixel
REACH = {"min_depth_m": 0.5, "max_depth_m": 80.0}


def anchored(teacher_m: Tensor, lidar_m: Tensor, mask: Tensor) -> Tensor:
    return anchored_depth(teacher_m, lidar_m, mask, **REACH)


def every_third_row() -> Tensor:
    mask = torch.zeros(1, 1, H, W, dtype=torch.bool)
    mask[:, :, ::3] = True
    return mask


def two_surfaces() -> Tensor:
    """A wall at 20 m with a car at 5 m before it."""
    depth_m = torch.full((1, 1, H, W), 20.0)
    depth_m[..., 8:16, 16:32] = 5.0
    return depth_m


def test_a_teacher_that_agrees_is_left_alone() -> None:
    depth_m = two_surfaces()
    assert torch.allclose(anchored(depth_m, depth_m, every_third_row()), depth_m, rtol=1e-5)


def test_each_surface_takes_its_own_correction() -> None:
    """The wall is 10 % further off than the teacher says, the car 20 % nearer: ln 0.8 and ln 1.1, also between rows."""
    teacher_m = two_surfaces()
    car = teacher_m == 5.0
    lidar_m = torch.where(car, 4.0, 22.0)
    corrected = anchored(teacher_m, lidar_m, every_third_row())
    left = (corrected / lidar_m).log().abs()
    assert left.max() < 0.04  # at corners of the car; of 0.22 and 0.10 before
    assert left[car].median() < 0.005
    assert left[~car].median() < 0.005


def test_where_no_return_is_near_the_teacher_stays() -> None:
    teacher_m = torch.full((1, 2, H, W), 10.0)
    mask = torch.zeros(1, 2, H, W, dtype=torch.bool)
    mask[:, 0, :, :4] = True  # the left edge of the first camera alone
    lidar_m = torch.full_like(teacher_m, 12.0)
    corrected = anchored(teacher_m, lidar_m, mask)
    assert corrected[0, 0, 12, 0] == pytest.approx(12.0, rel=0.02)
    assert torch.equal(corrected[0, 0, :, 24:], teacher_m[0, 0, :, 24:])
    assert torch.equal(corrected[0, 1], teacher_m[0, 1])


def test_one_return_past_an_edge_moves_little() -> None:
    """A thousand returns agree and one is eight times as far: those beside it outvote it."""
    teacher_m = torch.full((1, 1, H, W), 10.0)
    lidar_m = teacher_m.clone()
    lidar_m[..., 12, 24] = 80.0
    corrected = anchored(teacher_m, lidar_m, torch.ones_like(teacher_m, dtype=torch.bool))
    assert (corrected / teacher_m).log().abs().max() < 0.7 * 0.5
    assert (corrected / teacher_m).log().abs().median() < 1e-3


@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_a_common_factor_is_taken_out_whole(factor: float) -> None:
    teacher_m = two_surfaces()
    corrected = anchored(teacher_m, factor * teacher_m, every_third_row())
    # the lowest rows have no return below them: there a twentieth stays
    assert (corrected / (factor * teacher_m)).log().abs().max() < 0.05 * abs(math.log(factor))


def test_what_lies_outside_the_mask_has_no_effect_and_depth_stays_in_reach() -> None:
    teacher_m = two_surfaces()
    mask = every_third_row()
    lidar_m = torch.where(mask, 1.05 * teacher_m, torch.nan)
    corrected = anchored(teacher_m, lidar_m, mask)
    assert torch.isfinite(corrected).all()
    far = torch.full((1, 1, H, W), 79.0)
    assert anchored(far, far * 1.5, mask).max() == pytest.approx(80.0)
    assert not anchored(teacher_m.requires_grad_(), lidar_m, mask).requires_grad
