"""CKD-A, -B, -Bn, X1 and X2, worked by hand, with their gradient routing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from surround_depth.errors import ConfigError
from surround_depth.losses.bin_distillation import (
    BinMean,
    assign_scale_free,
    assign_to_bins,
    bin_divergence,
    check_variant,
    crossed_centers,
    crossed_probabilities,
    resize_probabilities,
)

NAN = math.nan
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
    p[..., 1] = NAN
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


# --- temperature ---------------------------------------------------------------------------------------------------


def test_temperature_by_hand() -> None:
    # sqrt(0.8) : sqrt(0.2) = 2 : 1, and sqrt(e^(ln 4)) : 1 = 2 : 1 turned round
    p = torch.tensor([0.8, 0.2]).reshape(1, 1, 2, 1, 1)
    logits = torch.tensor([0.0, math.log(4.0)]).reshape(1, 1, 2, 1, 1)
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    expected = 4 * (2 / 3 * math.log(2) + 1 / 3 * math.log(1 / 2))
    assert bin_divergence(p, logits, mask, tau=2.0).value.item() == pytest.approx(expected, rel=1e-5)
    assert bin_divergence(p, logits.flip(2) + 7.0, mask, tau=2.0).value.item() == pytest.approx(0.0, abs=1e-6)


def random_case(n_bins: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return teacher probabilities, logits [1, 2, M, 2, 3] and a mask, float64."""
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn(2, 1, 2, n_bins, 2, 3, generator=generator, dtype=torch.float64)
    mask = torch.tensor([[True, False, True], [True, True, False]]).expand(1, 2, 2, 3)
    return torch.softmax(draws[0], dim=2), draws[1].requires_grad_(), mask


@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_divergence_gradients_reach_the_student_only(tau: float) -> None:
    teacher, logits, mask = random_case()
    holed = torch.where(mask[:, :, None], teacher, NAN)
    assert torch.autograd.gradcheck(lambda z: bin_divergence(holed, z, mask, tau).value, logits)
    teacher.requires_grad_()
    bin_divergence(teacher, logits, mask, tau).value.backward()
    assert teacher.grad is None
    assert logits.grad is not None
    assert ((logits.grad != 0) == mask[:, :, None]).all()


def test_divergence_of_an_empty_mask_has_no_gradient() -> None:
    teacher, logits, mask = random_case()
    term = bin_divergence(teacher * NAN, logits, torch.zeros_like(mask), 2.0)
    term.value.backward()
    assert (term.value.item(), term.count.item()) == (0.0, 0)
    assert logits.grad is not None
    assert (logits.grad == 0).all()


# --- a teacher on another grid, in the picture or in depth ---------------------------------------------------------


def row(*cells: tuple[float, ...]) -> torch.Tensor:
    """Cells of bins -> [1, 1, M, 1, w]."""
    return torch.tensor(cells).T[None, None, :, None, :]


@pytest.mark.parametrize(
    ("cells", "width", "first_bin"),
    [
        (((1.0, 0.0), (0.0, 1.0)), 4, [1.0, 0.75, 0.25, 0.0]),
        (((1.0, 0.0), (0.0, 0.5)), 4, [1.0, 6 / 7, 0.4, 0.0]),  # 0.75 : 0.125 and 0.25 : 0.375
        (((1.0, 0.0), (NAN, 1.0), (NAN, NAN)), 3, [1.0, 0.0, 0.0]),
        (((1.0, 0.0), (NAN, NAN)), 4, [1.0, 1.0, 1.0, 0.0]),  # NaN weighs nothing; the last sees nothing else
        (((1.0, 0.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)), 2, [0.5, 0.0]),
    ],
)
def test_resized_probabilities_by_hand(
    cells: tuple[tuple[float, ...], ...], width: int, first_bin: list[float]
) -> None:
    resized = resize_probabilities(row(*cells), (1, width))
    assert resized[0, 0, 0, 0].tolist() == pytest.approx(first_bin, abs=1e-6)
    sums = resized.sum(dim=2)
    assert ((sums - 1).abs() < 1e-6).logical_or(sums == 0).all()


# --- scale-free assignment -----------------------------------------------------------------------------------------


def test_scale_free_bins_by_hand() -> None:
    r = torch.arange(101.0).reshape(1, 1, 1, 101)  # percentiles 2 and 98: 2 and 98
    p, kept = assign_scale_free(r, torch.ones_like(r, dtype=torch.bool), 2)
    near = p[0, 0, 0, 0]  # two bins: exp(-(2u - 1/2)^2 / 2) against exp(-(2u - 3/2)^2 / 2)
    for inverse_depth, log_odds in [(98, 1.0), (100, 1.0), (74, 0.5), (50, 0.0), (2, -1.0), (0, -1.0)]:
        assert near[inverse_depth].item() == pytest.approx(1 / (1 + math.exp(-log_odds)), rel=1e-5)
    assert p.sum(dim=2).flatten().tolist() == pytest.approx([1.0] * 101)
    assert kept.all()


def test_scale_free_percentiles_are_numpys_over_the_mask() -> None:
    generator = np.random.default_rng(0)
    r = generator.normal(size=(1, 3, 5, 7))
    mask = generator.random(r.shape) < 0.6
    p, _ = assign_scale_free(torch.from_numpy(np.where(mask, r, NAN)), torch.from_numpy(mask), 8, sigma=1.5)
    for camera in range(3):
        inside = mask[0, camera]
        far, near = np.percentile(r[0, camera][inside], (2, 98))
        u = np.clip((near - r[0, camera]) / (near - far), 0, 1)
        weights = np.exp(-((u[None] - (np.arange(1, 9)[:, None, None] - 0.5) / 8) ** 2) * 64 / (2 * 1.5**2))
        expected = weights / weights.sum(axis=0)
        np.testing.assert_allclose(p[0, camera].numpy()[:, inside], expected[:, inside], rtol=1e-9)


@pytest.mark.parametrize(("a", "b"), [(1.0, 300.0), (1e-3, -2.0), (750.0, 0.3)])
def test_scale_free_bins_do_not_see_scale_or_shift(a: float, b: float) -> None:
    r = torch.rand(2, 2, 6, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    mask = r > 0.2
    r[r < 0.1] = NAN
    p, kept = assign_scale_free(r, mask, 16)
    moved, still = assign_scale_free(a * r + b, mask, 16)
    torch.testing.assert_close(moved, p, rtol=1e-8, atol=1e-10)
    assert torch.equal(kept, still)
    assert not torch.allclose(assign_scale_free(r.square(), mask, 16)[0], p, atol=1e-3)  # not blind to everything


def test_scale_free_leaves_out_images_that_say_nothing() -> None:
    r = torch.full((1, 4, 2, 2), 5.0, requires_grad=True)  # flat; empty; one pixel; usable
    mask = torch.ones(1, 4, 2, 2, dtype=torch.bool)
    mask[0, 1], mask[0, 2, 0], mask[0, 2, 1, 0] = False, False, False
    varied = r + torch.tensor([0.0, NAN, 0.0, 1.0]).reshape(1, 4, 1, 1) * torch.arange(4.0).reshape(2, 2)
    p, kept = assign_scale_free(varied, mask, 4)
    assert kept.flatten(2).any(dim=-1).tolist() == [[False, False, False, True]]
    assert p.isfinite().all()
    assert not p.requires_grad


# --- crossed terms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "mixed_m"), [("arithmetic", (1 + math.e + math.e**3) / 3), ("geometric", math.exp((0 + 1 + 3) / 3))]
)
def test_x2_moves_the_probabilities_only(mean: BinMean, mixed_m: float) -> None:
    centers_m = CENTERS_M.clone().requires_grad_()
    logits = torch.zeros(1, 1, 3, 2, 2, requires_grad=True)
    truth_m = torch.full((1, 1, 8, 8), 2.5)
    term = crossed_probabilities(logits, centers_m, truth_m, torch.ones(1, 1, 8, 8, dtype=torch.bool), mean)
    e = math.log(mixed_m / 2.5)
    assert term.value.item() == pytest.approx(10 * abs(e) * math.sqrt(0.15), rel=1e-4)
    term.value.backward()
    assert centers_m.grad is None
    assert logits.grad is not None
    assert (logits.grad[:, :, 2] > 0).all()  # too far: less of the far bin, more of the near one
    assert (logits.grad[:, :, 0] < 0).all()


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_crossed_gradients_agree_with_finite_differences(mean: BinMean) -> None:
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(1, 2, 3, 2, 2, generator=generator, dtype=torch.float64).requires_grad_()
    centers_m = CENTERS_M.double().repeat(1, 2, 1).requires_grad_()
    truth_m = 2.0 + 9.0 * torch.rand(1, 2, 6, 6, generator=generator, dtype=torch.float64)
    mask = truth_m < 8.0
    truth_m = torch.where(mask, truth_m, NAN)
    assert mask.sum() > 32
    assert torch.autograd.gradcheck(
        lambda z: crossed_probabilities(z, centers_m, truth_m, mask, mean, "batch").value, logits
    )
    teacher = torch.softmax(logits.detach(), dim=2)
    assert torch.autograd.gradcheck(
        lambda c: crossed_centers(teacher, c, truth_m, mask, mean, "batch").value, centers_m
    )


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_crossed_terms_vanish_at_the_truth_and_on_an_empty_mask(mean: BinMean) -> None:
    logits = torch.tensor([-40.0, 40.0, -40.0]).reshape(1, 1, 3, 1, 1).repeat(1, 1, 1, 2, 2).requires_grad_()
    centers_m = CENTERS_M.clone().requires_grad_()
    teacher = torch.softmax(logits.detach(), dim=2)
    truth_m = torch.full((1, 1, 8, 8), math.e)
    mask = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    assert crossed_probabilities(logits, centers_m, truth_m, mask, mean).value.item() < 2e-3  # the radicand's floor
    assert crossed_centers(teacher, centers_m, truth_m, mask, mean).value.item() < 2e-3
    nothing = torch.full_like(truth_m, NAN), torch.zeros_like(mask)
    empty = crossed_probabilities(logits, centers_m, *nothing, mean)
    other = crossed_centers(teacher, centers_m, *nothing, mean)
    (empty.value + other.value).backward()
    assert (empty.value.item(), other.value.item(), empty.count.item(), other.count.item()) == (0.0, 0.0, 0, 0)
    for leaf in (logits, centers_m):
        assert leaf.grad is not None
        assert (leaf.grad == 0).all()


# --- which variant goes with which bins ----------------------------------------------------------------------------


def test_variants_that_mean_something_pass() -> None:
    check_variant("A", "image", x2=True)
    check_variant("A", "fixed", x2=True)
    check_variant("B", "fixed", x2=True)
    check_variant("B", "sample", x2=False)
    check_variant("Bn", "image", x2=False)


@pytest.mark.parametrize("centers", ["fixed", "sample"])
def test_scale_free_bins_need_one_set_per_image(centers: str) -> None:
    with pytest.raises(ConfigError, match="expected 'image'"):
        check_variant("Bn", centers, x2=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(("variant", "centers"), [("Bn", "image"), ("B", "image"), ("B", "sample")])
def test_x2_needs_centers_of_the_teachers_own(variant: str, centers: str) -> None:
    with pytest.raises(ConfigError, match="X2 needs a teacher with centers of its own"):
        check_variant(variant, centers, x2=True)  # type: ignore[arg-type]
