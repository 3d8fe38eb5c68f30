"""Attention features, focal response and trust, worked by hand, with their gradient routing."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from surround_depth.losses.masked import Term
from surround_depth.losses.privileged import (
    AttentionAdapter,
    LogVarianceHead,
    attention_feature,
    focal_response,
)

NAN = math.nan


def plane(*values: float) -> torch.Tensor:
    """Pixels -> [1, 1, 1, w]."""
    return torch.tensor(values).reshape(1, 1, 1, -1)


def vectors(*pixels: tuple[float, float]) -> torch.Tensor:
    """Features of pixels -> [1, 1, 2, 1, w]."""
    return torch.tensor(pixels).T[None, None, :, None, :]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# --- D11 -----------------------------------------------------------------------------------------------------------

STUDENT = vectors((3.0, 4.0), (0.0, 5.0), (NAN, 1.0))  # (0.6, 0.8) against (1, 0): e^2 = 0.16 + 0.64
TEACHER = vectors((7.0, 0.0), (0.0, 0.1), (1.0, NAN))
MASK = torch.tensor([[[[True, True, False]]]])


def test_attention_feature_by_hand() -> None:
    assert attention_feature(STUDENT, TEACHER, None, MASK).value.item() == pytest.approx(0.5 * 0.8 / 2, rel=1e-6)
    log_variance = plane(math.log(2.0), -1.0, NAN)
    first, second = 0.5 * 0.8 / 2 + 0.5 * math.log(2.0), -0.5
    term = attention_feature(STUDENT, TEACHER, log_variance, MASK)
    assert term.value.item() == pytest.approx((first + second) / 2, rel=1e-6)
    assert term.count.item() == 2
    trusted = attention_feature(STUDENT, TEACHER, log_variance, MASK, plane(0.25, 0.5, NAN))
    assert trusted.value.item() == pytest.approx((0.25 * first + 0.5 * second) / 2, rel=1e-6)


def test_attention_feature_compares_directions() -> None:
    lengths = plane(0.3, 9.0, 1.0)[:, :, None]
    expected = attention_feature(STUDENT, TEACHER, None, MASK).value.item()
    assert attention_feature(lengths * STUDENT, TEACHER, None, MASK).value.item() == pytest.approx(expected, rel=1e-6)
    assert attention_feature(STUDENT, lengths * TEACHER, None, MASK).value.item() == pytest.approx(expected, rel=1e-6)
    assert attention_feature(2.0 * TEACHER, TEACHER, None, MASK).value.item() == pytest.approx(0.0, abs=1e-6)


def test_the_best_log_variance_is_that_of_the_error() -> None:
    s = plane(math.log(0.8)).requires_grad_()
    term = attention_feature(STUDENT[..., :1], TEACHER[..., :1], s, MASK[..., :1])
    (gradient,) = torch.autograd.grad(term.value, s)
    assert gradient.item() == pytest.approx(0.0, abs=1e-6)


def test_attention_feature_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 1, 2, 3, 2, 3, generator=generator, dtype=torch.float64)
    s, trust = torch.rand(2, 1, 2, 2, 3, generator=generator, dtype=torch.float64)
    mask = torch.rand(1, 2, 2, 3, generator=generator) < 0.6
    leaves = [leaf.clone().requires_grad_() for leaf in (student, s)]
    assert torch.autograd.gradcheck(lambda f, s: attention_feature(f, teacher, s, mask, trust).value, leaves)
    teacher.requires_grad_(), trust.requires_grad_()
    attention_feature(leaves[0], teacher, leaves[1], mask, trust).value.backward()
    assert teacher.grad is None
    assert trust.grad is None
    for leaf, inside in zip(leaves, (mask[:, :, None], mask), strict=True):
        assert leaf.grad is not None
        assert ((leaf.grad != 0) == inside).all()


def test_a_dead_feature_has_a_moderate_gradient() -> None:
    student = vectors((0.0, 0.0)).requires_grad_()
    attention_feature(student, TEACHER[..., :1], None, MASK[..., :1]).value.backward()
    assert student.grad is not None
    assert student.grad.norm().item() == pytest.approx(1e3, rel=1e-3)


# --- D12 -----------------------------------------------------------------------------------------------------------


def test_focal_response_and_its_gradient_by_hand() -> None:
    depth_m = plane(2.0 * math.e, 4.0, 3.0).requires_grad_()
    teacher_m = plane(2.0, 4.0 * math.exp(0.5), NAN).requires_grad_()  # e = 1, 1/2
    term = focal_response(depth_m, teacher_m, None, MASK)
    assert term.value.item() == pytest.approx((1 + 0.5 * 0.5) / 2, rel=1e-6)
    term.value.backward()
    assert teacher_m.grad is None
    assert depth_m.grad is not None
    # q is a constant: q sign / d / count, not the 2 e / d of e^2
    assert depth_m.grad.flatten().tolist() == pytest.approx([1 / (2 * math.e) / 2, -0.5 / 4 / 2, 0.0], rel=1e-6)
    assert focal_response(depth_m, teacher_m, None, MASK, gamma=2.0).value.item() == pytest.approx((1 + 0.125) / 2)
    assert focal_response(depth_m, teacher_m, None, MASK, gamma=0.0).value.item() == pytest.approx((1 + 0.5) / 2)


def test_focal_response_with_uncertainty_and_trust_by_hand() -> None:
    depth_m, teacher_m = plane(2.0 * math.e, 4.0, 3.0), plane(2.0, 4.0 * math.exp(0.5), NAN)
    s = plane(math.log(2.0), -1.0, NAN)
    first, second = 0.5 + math.log(2.0), 0.25 * math.e - 1
    assert focal_response(depth_m, teacher_m, s, MASK).value.item() == pytest.approx((first + second) / 2, rel=1e-6)
    trusted = focal_response(depth_m, teacher_m, s, MASK, trust=plane(0.5, 0.0, NAN))
    assert trusted.value.item() == pytest.approx(0.5 * first / 2, rel=1e-6)


def test_the_worst_pixel_is_that_of_its_own_image() -> None:
    log_error = torch.tensor([[0.2, 0.1], [2.0, 1.0]]).reshape(1, 2, 1, 2)  # the second camera is ten times as wrong
    mask = torch.ones(1, 2, 1, 2, dtype=torch.bool)
    apart = focal_response(log_error.exp(), torch.ones(1, 2, 1, 2), None, mask).value.item()
    assert apart == pytest.approx((0.2 + 0.05 + 2.0 + 0.5) / 4, rel=1e-5)


def test_focal_response_sees_ratios_only_and_is_zero_where_depths_agree() -> None:
    depth_m, teacher_m = plane(2.0 * math.e, 4.0, 3.0), plane(2.0, 4.0 * math.exp(0.5), NAN)
    expected = focal_response(depth_m, teacher_m, None, MASK).value.item()
    assert focal_response(7 * depth_m, 7 * teacher_m, None, MASK).value.item() == pytest.approx(expected, rel=1e-5)
    agreeing = teacher_m.clone().requires_grad_()
    term = focal_response(agreeing, teacher_m, None, MASK)
    term.value.backward()
    assert term.value.item() == 0.0
    assert agreeing.grad is not None
    assert (agreeing.grad == 0).all()


def test_focal_response_gradients_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    depth_m, teacher_m, s, trust = 0.5 + torch.rand(4, 1, 2, 2, 3, generator=generator, dtype=torch.float64)
    mask = torch.rand(1, 2, 2, 3, generator=generator) < 0.6
    leaves = [torch.where(mask, leaf, NAN).requires_grad_() for leaf in (depth_m, s)]
    # gamma 0: the focal weight is under stop-gradient, which finite differences do not know
    assert torch.autograd.gradcheck(lambda d, s: focal_response(d, teacher_m, s, mask, 0.0, trust).value, leaves)
    trust.requires_grad_()
    focal_response(leaves[0], teacher_m, leaves[1], mask, 1.0, trust).value.backward()
    assert trust.grad is None


# --- what both owe -------------------------------------------------------------------------------------------------


def _feature(values: torch.Tensor, s: torch.Tensor, mask: torch.Tensor) -> Term:
    return attention_feature(values[:, :, None].expand(-1, -1, 3, -1, -1), values[:, :, None] * NAN, s, mask)


def _response(values: torch.Tensor, s: torch.Tensor, mask: torch.Tensor) -> Term:
    return focal_response(values, values * NAN, s, mask, gamma=0.5)


@pytest.mark.parametrize("loss", [_feature, _response])
def test_an_empty_mask_gives_zero_and_zero_gradient(
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Term],
) -> None:
    values, s = torch.full((1, 2, 2, 2), 3.0, requires_grad=True), torch.ones(1, 2, 2, 2, requires_grad=True)
    term = loss(values, s, torch.zeros(1, 2, 2, 2, dtype=torch.bool))
    term.value.backward()
    assert (term.value.item(), term.count.item()) == (0.0, 0)
    for leaf in (values, s):
        assert leaf.grad is not None
        assert (leaf.grad == 0).all()


# --- modules -------------------------------------------------------------------------------------------------------


def test_adapter_by_hand() -> None:
    adapter = AttentionAdapter(2, 1)
    features = vectors((1.0, 3.0), (3.0, -1.0))  # means over the pixels 2, 1; over the channels 2, 1; maxima 3, 3
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.zero_()
        adapter.channel[0].weight[0] = 1.0  # 2 + 1
        adapter.channel[0].weight[1] = -1.0  # the ReLU stops it
        adapter.channel[2].weight[:, 0] = torch.tensor([0.5, -0.5])
        adapter.channel[2].weight[:, 1] = 100.0
        adapter.spatial.weight[0, :, 3, 3] = torch.tensor([1.0, -1.0])  # mean minus maximum: -1, -2
        adapter.project.weight.copy_(torch.tensor([1.0, 10.0]).reshape(1, 2, 1, 1))
    adapted, log_variance = adapter(features)
    near, far = sigmoid(1.5), sigmoid(-1.5)
    expected = [(near + 30 * far) * sigmoid(-1), (3 * near - 10 * far) * sigmoid(-2)]
    assert adapted.shape == (1, 1, 1, 1, 2)
    assert adapted.flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert log_variance is None


def test_adapter_looks_around_but_not_into_other_cameras() -> None:
    torch.manual_seed(0)
    adapter = AttentionAdapter(6, 4, log_variance=True)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter)
    features = torch.randn(1, 2, 6, 5, 5)
    moved = features.clone()
    moved[0, 1, :, 0, 0] += 5.0
    before, after = adapter(features), adapter(moved)
    assert before[0].shape == (1, 2, 4, 5, 5)
    assert before[1].shape == (1, 2, 5, 5)
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a[:, 0], b[:, 0])
        assert not torch.equal(a[:, 1, ..., 4, 4], b[:, 1, ..., 4, 4])  # through the mean over the image


def test_adapter_starts_as_a_plain_projection_and_every_part_learns() -> None:
    torch.manual_seed(0)
    adapter = AttentionAdapter(4, 3, log_variance=True)
    features = torch.randn(1, 2, 4, 3, 3)
    adapted, log_variance = adapter(features)
    plain = adapter.project(0.25 * features[0])  # both attentions half open
    torch.testing.assert_close(adapted[0], plain)
    assert (log_variance == 0).all()
    mask = torch.ones(1, 2, 3, 3, dtype=torch.bool)
    attention_feature(adapted, torch.randn(1, 2, 3, 3, 3), log_variance, mask).value.backward()
    for part in (adapter.channel[2], adapter.spatial, adapter.project, adapter.log_variance.conv):
        assert part.weight.grad is not None
        assert part.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("raw", [-8.0, 8.0])
def test_log_variance_is_bounded_and_can_come_back(raw: float) -> None:
    head = LogVarianceHead(3)
    torch.nn.init.constant_(head.conv.bias, raw)
    s = head(torch.randn(1, 2, 3, 2, 2))
    assert s.flatten().tolist() == pytest.approx([4.0 * math.tanh(raw / 4.0)] * 8)
    s.sum().backward()
    assert head.conv.bias.grad.abs().item() > 0.1
