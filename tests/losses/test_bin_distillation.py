"""CKD-B and X1, worked by hand, with their gradient routing."""

from __future__ import annotations

import math

import pytest
import torch

from surround_depth.losses.bin_distillation import BinMean, assign_to_bins, bin_divergence, crossed_centers

CENTERS_M = torch.tensor([[[1.0, math.e, math.e**3]]])
EDGES_M = torch.tensor([[[math.exp(-0.5), math.exp(0.5), math.exp(2.0), math.exp(4.0)]]])


def at(depth_m: float) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), depth_m)


@pytest.mark.parametrize(
    "log_depth, expected",
    [
        (0.0, [1.0, 0.0, 0.0]),
        (0.25, [0.75, 0.25, 0.0]),
        (2.0, [0.0, 0.5, 0.5]),
        (-1.0, [1.0, 0.0, 0.0]),  # nearer than the first center
        (5.0, [0.0, 0.0, 1.0]),  # beyond the last
    ],
)
def test_two_hot_by_hand(log_depth: float, expected: list[float]) -> None:
    p = assign_to_bins(at(math.exp(log_depth)), EDGES_M, CENTERS_M, "twohot").flatten()
    assert p.tolist() == pytest.approx(expected, abs=1e-6)


def test_gauss_by_hand() -> None:
    # log widths 1, 1.5, 2; mean 1.5; depth on the middle center
    weights = [1.0 * math.exp(-0.5 / 2.25), 1.5, 2.0 * math.exp(-0.5 * 4 / 2.25)]
    p = assign_to_bins(at(math.e), EDGES_M, CENTERS_M, "gauss").flatten()
    assert p.tolist() == pytest.approx([w / sum(weights) for w in weights], rel=1e-5)


@pytest.mark.parametrize("assign", ["twohot", "gauss"])
def test_divergence_is_zero_where_the_student_agrees(assign: str) -> None:
    p = assign_to_bins(at(3.0), EDGES_M, CENTERS_M, assign)  # type: ignore[arg-type]
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    assert bin_divergence(p, torch.log(p.clamp(min=1e-30)), mask).value.item() == pytest.approx(0.0, abs=1e-6)


def test_divergence_by_hand_and_masked() -> None:
    p = torch.tensor([0.5, 0.5, 0.0]).reshape(1, 1, 3, 1, 1).repeat(1, 1, 1, 1, 2)
    p[..., 1] = math.nan
    p = torch.nan_to_num(p, nan=1.0)
    mask = torch.tensor([[[[True, False]]]])
    logits = torch.zeros(1, 1, 3, 1, 2, requires_grad=True)
    term = bin_divergence(p, logits, mask)
    assert term.value.item() == pytest.approx(math.log(1.5), rel=1e-5)  # ln(0.5 / (1/3))
    term.value.backward()
    assert logits.grad is not None
    assert (logits.grad[..., 1] == 0).all()
    assert bin_divergence(p, logits, torch.zeros_like(mask)).value.item() == 0.0


@pytest.mark.parametrize(
    ("mean", "mixed_m"), [("arithmetic", (1 + math.e + math.e**3) / 3), ("geometric", math.exp((0 + 1 + 3) / 3))]
)
def test_x1_moves_the_centers_only(mean: BinMean, mixed_m: float) -> None:
    centers_m = CENTERS_M.clone().requires_grad_()
    teacher = torch.full((1, 1, 3, 2, 2), 1 / 3, requires_grad=True)
    truth_m = torch.full((1, 1, 8, 8), 4.0)
    term = crossed_centers(teacher, centers_m, truth_m, torch.ones(1, 1, 8, 8, dtype=torch.bool), mean)
    e = math.log(mixed_m / 4.0)
    assert term.value.item() == pytest.approx(10 * abs(e) * math.sqrt(0.15), rel=1e-4)
    term.value.backward()
    assert teacher.grad is None
    assert centers_m.grad is not None
    assert (centers_m.grad.abs() > 0).all()


def test_the_target_stops_gradients_to_the_centers() -> None:
    centers_m = CENTERS_M.clone().requires_grad_()
    assert not assign_to_bins(at(3.0), EDGES_M, centers_m, "twohot").requires_grad
