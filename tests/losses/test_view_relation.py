"""Relations between neighbouring views: worked by hand, their invariances, dead cameras, rings and chains."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import rel_entr, softmax

from surround_depth.config import parse_config
from surround_depth.errors import ConfigError
from surround_depth.losses.view_relation import (
    ViewRelationConfig,
    bin_relation,
    camera_edges,
    feature_relation,
    pool_tokens,
    pooled_relation,
    view_relation,
)

NAN = math.nan
CONFIGS = [
    ViewRelationConfig(variant="v1", grid=(2, 3)),
    ViewRelationConfig(variant="v1", relation="softmax", grid=(2, 3)),
    ViewRelationConfig(variant="v2", grid=(2, 3)),
    ViewRelationConfig(variant="v3", grid=(2, 3)),
]
every_variant = pytest.mark.parametrize("config", CONFIGS, ids=["cosine", "softmax", "pooled", "bins"])
PAIR = torch.tensor([[[1, -1], [0, -1]]])


def ring(n: int) -> torch.Tensor:
    """[1, n, 2], as calibration gives it: ascending, each neighbour once."""
    beside = [sorted({(i - 1) % n, (i + 1) % n} - {i}) for i in range(n)]
    return torch.tensor([[*b, -1, -1][:2] for b in beside])[None]


def chain(n: int) -> torch.Tensor:
    beside = [[j for j in (i - 1, i + 1) if 0 <= j < n] for i in range(n)]
    return torch.tensor([[*b, -1, -1][:2] for b in beside])[None]


def tokens(*cameras: list[list[float]]) -> torch.Tensor:
    return torch.tensor(cameras, dtype=torch.float64)[None]


def all_seen(of: torch.Tensor) -> torch.Tensor:
    return torch.ones(of.shape[:3], dtype=torch.bool)


def alive(n: int, *dead: int) -> torch.Tensor:
    return torch.tensor([[i not in dead for i in range(n)]])


def random_maps(n: int, channels: int, config: ViewRelationConfig, seed: int, size: tuple[int, int]) -> torch.Tensor:
    """Features, or for v3 probabilities, float64 [1, n, channels, *size]."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(1, n, channels, *size, generator=generator, dtype=torch.float64)
    return torch.softmax(maps, dim=2) if config.variant == "v3" else maps


def world(config: ViewRelationConfig, n: int = 5) -> dict[str, Any]:
    keep = torch.rand(1, n, 8, 12, generator=torch.Generator().manual_seed(7)) < 0.6
    keep[:, :, :4, :4] = False  # the first token of every camera
    return {
        "student": random_maps(n, 4, config, 0, (4, 6)),
        "teacher": random_maps(n, 4 if config.variant == "v3" else 7, config, 1, (8, 12)),
        "keep": keep,
        "neighbours": ring(n),
        "camera_valid": alive(n),
        "config": config,
    }


# --- pooling


def test_tokens_are_means_of_what_is_kept() -> None:
    maps = torch.arange(16.0).reshape(1, 1, 1, 4, 4).requires_grad_()
    keep = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    keep[0, 0, 0, 1] = keep[0, 0, 1, 1] = False  # of the first cell, 0 1 4 5, this leaves 0 and 4
    keep[0, 0, 2:, 2:] = False
    with torch.no_grad():
        maps[~keep[:, :, None]] = NAN
    pooled, seen = pool_tokens(maps, keep, (2, 2))
    assert pooled.flatten().tolist() == pytest.approx([2.0, (2 + 3 + 6 + 7) / 4, (8 + 9 + 12 + 13) / 4, 0.0])
    assert seen.flatten().tolist() == [True, True, True, False]
    pooled.sum().backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()
    assert (maps.grad[~keep[:, :, None]] == 0).all()


def test_the_mask_may_have_another_size_than_the_map() -> None:
    maps = torch.tensor([1.0, 5.0]).reshape(1, 1, 1, 1, 2)
    finer = torch.tensor([True, False, True, True]).reshape(1, 1, 1, 4)  # half of the first pixel is kept
    pooled, seen = pool_tokens(maps, finer, (1, 1))
    assert (pooled.item(), seen.item()) == (pytest.approx((0.5 * 1 + 1 * 5) / 1.5), True)
    coarser = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    assert pool_tokens(maps, coarser, (1, 1))[0].item() == pytest.approx(3.0)


def test_a_small_map_has_as_many_tokens_as_pixels() -> None:
    maps = torch.arange(6.0).reshape(1, 1, 1, 2, 3)
    pooled, _ = pool_tokens(maps, torch.ones(1, 1, 2, 3, dtype=torch.bool))
    assert pooled.flatten().tolist() == [0, 1, 2, 3, 4, 5]


# --- edges


@pytest.mark.parametrize("n", range(1, 9))
def test_every_ring_and_chain_counts_an_edge_once(n: int) -> None:
    assert camera_edges(ring(n), alive(n)).sum().item() == {1: 0, 2: 1}.get(n, n)
    assert camera_edges(chain(n), alive(n)).sum().item() == n - 1
    if n > 2:
        assert camera_edges(ring(n), alive(n, 1)).sum().item() == n - 2


def test_an_edge_may_be_listed_at_one_end_only() -> None:
    edges = camera_edges(torch.tensor([[[-1, -1], [0, -1], [1, -1]]]), alive(3))
    assert edges.nonzero().tolist() == [[0, 0, 1], [0, 1, 2]]


@every_variant
@pytest.mark.parametrize("n", range(1, 9))
def test_any_number_of_cameras(config: ViewRelationConfig, n: int) -> None:
    for neighbours in (ring(n), chain(n)):
        term = view_relation(**{**world(config, n), "neighbours": neighbours})
        assert torch.isfinite(term.value)
        assert term.count.item() == camera_edges(neighbours, alive(n)).sum().item()
        # of one edge V2 knows its length over itself
        says_nothing = term.count.item() < (2 if config.variant == "v2" else 1)
        assert (term.value.item() == 0.0) == says_nothing


# --- values


def test_v1_by_hand() -> None:
    student = tokens([[3.0, 0.0], [0.0, 2.0]], [[1.0, 1.0]] * 2)  # all cosines 1/sqrt 2
    teacher = tokens([[5.0], [-5.0]], [[1.0], [-2.0]])  # cosines 1, -1 and -1, 1
    half = math.sqrt(0.5)
    term = feature_relation(student, teacher, all_seen(student), PAIR, alive(2))
    assert term.value.item() == pytest.approx(((1 - half) + (1 + half)) / 2)
    assert term.count.item() == 1
    seen = torch.tensor([[[True, True], [True, False]]])
    assert feature_relation(student[..., :1], teacher, seen, PAIR, alive(2)).value.item() == pytest.approx(
        (abs(1 - 1) + abs(0 + 1)) / 2  # (0, 2) without its second channel has no direction
    )


def test_v1_softmax_is_scipys_relative_entropy_both_ways() -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(1, 2, 3, 4)), rng.normal(size=(1, 2, 3, 5))
    seen = np.array([[[True, True, False], [True, True, True]]])

    def rows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        i, j = values[0] / np.linalg.norm(values[0], axis=-1, keepdims=True)
        R = i[:2] @ j.T
        return softmax(R / 0.1, axis=1), softmax(R.T / 0.1, axis=1)

    both_ways = [rel_entr(t, s).sum(axis=1).mean() for t, s in zip(rows(teacher), rows(student), strict=True)]
    found = feature_relation(
        *map(torch.from_numpy, (student, teacher, seen)), PAIR, alive(2), relation="softmax"
    ).value.item()
    assert found == pytest.approx(np.mean(both_ways))


def test_v1_takes_the_mean_of_edges_however_much_each_sees() -> None:
    """A chain of three: the first edge has two pairs of tokens, each off by 1, the second one pair, off by 0."""
    student = tokens([[1.0, 0.0]] * 2, [[1.0, 0.0]] * 2, [[1.0, 0.0]] * 2)
    teacher = tokens([[0.0, 1.0]] * 2, [[1.0, 0.0]] * 2, [[1.0, 0.0]] * 2)
    seen = torch.tensor([[[True, True], [True, False], [True, False]]])
    term = feature_relation(student, teacher, seen, chain(3), alive(3))
    assert (term.value.item(), term.count.item()) == (pytest.approx(0.5), 2)


def test_v2_of_a_3_4_5_triangle_against_an_equilateral_one() -> None:
    right_angle = tokens([[0.0, 0.0]], [[3.0, 0.0]], [[0.0, 4.0]])
    equilateral = tokens([[0.0, 0.0]], [[1.0, 0.0]], [[0.5, math.sqrt(0.75)]])
    distances = 0.5 * (0.25**2 + 0.0**2 + 0.25**2) / 3  # 3/4, 4/4, 5/4 of the mean; all 1
    angles = 0.5 * (0.5**2 + 0.1**2 + 0.3**2) / 3  # cosines 0, 3/5, 4/5; all 1/2
    term = pooled_relation(right_angle, equilateral, all_seen(right_angle), ring(3), alive(3))
    assert term.value.item() == pytest.approx(distances + 2 * angles)
    assert term.count.item() == 3


def test_v2_an_angle_needs_both_neighbours() -> None:
    right_angle = tokens([[3.0, 0.0]], [[0.0, 0.0]], [[0.0, 4.0]], [[NAN, NAN]])
    straight = tokens([[-1.0, 0.0]], [[0.0, 0.0]], [[1.0, 0.0]], [[NAN, NAN]])
    distances = 0.5 * ((3 / 3.5 - 1) ** 2 + (4 / 3.5 - 1) ** 2) / 2
    angle = 0.5 * (0 - -1) ** 2  # at camera 1 alone
    term = pooled_relation(right_angle, straight, all_seen(straight), ring(4), alive(4, 3))
    assert term.value.item() == pytest.approx(distances + 2 * angle)


def test_v2_takes_the_mean_of_seen_tokens() -> None:
    split = tokens([[1.0, 1.0], [-1.0, -1.0]], [[3.0, 0.0], [NAN, NAN]], [[0.0, 3.0], [0.0, 5.0]])
    whole = tokens([[0.0, 0.0]], [[3.0, 0.0]], [[0.0, 4.0]])
    equilateral = tokens([[0.0, 0.0]], [[1.0, 0.0]], [[0.5, math.sqrt(0.75)]])
    seen = torch.tensor([[[True, True], [True, False], [True, True]]])
    doubled = equilateral.expand(-1, -1, 2, -1)
    assert pooled_relation(split, doubled, seen, ring(3), alive(3)).value.item() == pytest.approx(
        pooled_relation(whole, equilateral, all_seen(whole), ring(3), alive(3)).value.item()
    )


def test_v3_by_hand() -> None:
    student = tokens([[1.0, 0.0]], [[0.5, 0.5]])
    teacher = tokens([[0.1, 0.9]], [[0.9, 0.1]])
    term = bin_relation(student, teacher, all_seen(student), PAIR, alive(2))
    assert term.value.item() == pytest.approx(math.sqrt(0.5) - 2 * math.sqrt(0.09), abs=1e-5)


# --- what each claims


@every_variant
def test_an_equal_relation_costs_nothing(config: ViewRelationConfig) -> None:
    given = world(config)
    given["teacher"] = given["student"].clone()
    assert view_relation(**given).value.item() == pytest.approx(0.0, abs=1e-12)
    assert view_relation(**{**given, "student": given["student"].flip(1)}).value.item() > 1e-4


@pytest.mark.parametrize("relation", ["cosine", "softmax"])
def test_v1_is_free_of_lengths_and_of_a_rotation_of_channels(relation: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    student, teacher = (torch.randn(1, 4, 6, c, generator=generator, dtype=torch.float64) for c in (5, 8))
    term = partial(feature_relation, seen=all_seen(student), neighbours=ring(4), camera_valid=alive(4))
    lengths = torch.rand(1, 4, 6, 1, generator=generator, dtype=torch.float64) * 9 + 0.1
    turn = torch.from_numpy(stats.ortho_group.rvs(5, random_state=0))
    before = term(student, teacher, relation=relation).value.item()
    assert before > 0.01
    assert term((student * lengths) @ turn, teacher / lengths, relation=relation).value.item() == pytest.approx(before)


def test_v2_is_free_of_scale_shift_and_rotation() -> None:
    generator = torch.Generator().manual_seed(3)
    student, teacher = (torch.randn(1, 4, 6, c, generator=generator, dtype=torch.float64) for c in (5, 8))
    term = partial(pooled_relation, seen=all_seen(student), neighbours=ring(4), camera_valid=alive(4))
    turn = torch.from_numpy(stats.ortho_group.rvs(5, random_state=0))
    before = term(student, teacher).value.item()
    assert before > 0.01
    assert term(3 * student @ turn + 7, 0.1 * teacher - 2).value.item() == pytest.approx(before)


@every_variant
def test_the_order_of_cameras_changes_nothing(config: ViewRelationConfig) -> None:
    given = world(config)
    order = torch.tensor([3, 0, 4, 1, 2])
    place = torch.argsort(order)
    moved = {key: given[key][:, order] for key in ("student", "teacher", "keep")}
    moved["neighbours"] = place[given["neighbours"]][:, order].sort(dim=-1).values
    assert view_relation(**(given | moved)).value.item() == pytest.approx(view_relation(**given).value.item())


@every_variant
@pytest.mark.parametrize("content", [NAN, math.inf, 1e6])
def test_a_dead_camera_has_no_influence(config: ViewRelationConfig, content: float) -> None:
    """Whatever it shows, and although its mask is kept: as if it were not in the rig, which is then a chain."""
    given = world(config)
    without = {key: given[key][:, :4] for key in ("student", "teacher", "keep")}
    without |= {"neighbours": chain(4), "camera_valid": alive(4)}
    expected = view_relation(**(given | without))
    student = given["student"].clone()
    student[:, 4] = content
    given["teacher"][:, 4] = content
    student.requires_grad_()
    found = view_relation(**{**given, "student": student, "camera_valid": alive(5, 4)})
    assert (found.value.item(), found.count.item()) == (pytest.approx(expected.value.item()), expected.count.item())
    found.value.backward()
    assert student.grad is not None
    assert (student.grad[:, 4] == 0).all()
    assert torch.isfinite(student.grad).all()
    assert (student.grad[:, :4] != 0).any()


@every_variant
def test_nan_off_the_mask_and_an_empty_mask(config: ViewRelationConfig) -> None:
    given = world(config)
    expected = view_relation(**given).value.item()
    student = given["student"].clone()
    student[..., :2, :2] = NAN
    given["teacher"][..., :4, :4] = NAN
    student.requires_grad_()
    term = view_relation(**{**given, "student": student})
    assert term.value.item() == pytest.approx(expected)
    term.value.backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
    student.grad = None
    term = view_relation(**{**given, "student": student, "keep": torch.zeros_like(given["keep"])})
    assert (term.value.item(), term.count.item()) == (0.0, 0)
    term.value.backward()
    assert student.grad is None or (student.grad == 0).all()


@every_variant
def test_gradients_agree_with_finite_differences_and_spare_the_teacher(config: ViewRelationConfig) -> None:
    given = world(config, 3)

    def value(student: torch.Tensor) -> torch.Tensor:
        return view_relation(**{**given, "student": student}).value

    assert torch.autograd.gradcheck(value, given["student"].requires_grad_())
    teacher = given["teacher"].requires_grad_()
    value(given["student"]).backward()
    assert teacher.grad is None


@every_variant
def test_views_that_are_all_alike_have_a_finite_gradient(config: ViewRelationConfig) -> None:
    student = torch.full((1, 3, 4, 4, 6), 0.25, dtype=torch.float64, requires_grad=True)
    term = view_relation(**{**world(config, 3), "student": student})
    term.value.backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


@every_variant
def test_half_precision_is_computed_in_float32(config: ViewRelationConfig) -> None:
    given = world(config)
    expected = view_relation(**given).value.item()
    rounded = {"student": given["student"].bfloat16(), "teacher": given["teacher"].half()}
    term = view_relation(**(given | rounded))
    assert term.value.dtype == torch.float32
    assert term.value.item() == pytest.approx(expected, rel=0.03)


def test_the_config_refuses_what_means_nothing() -> None:
    assert parse_config(ViewRelationConfig, {"grid": [3, 4]}, "x").grid == (3, 4)
    with pytest.raises(ConfigError, match="softmax is a choice of variant v1"):
        parse_config(ViewRelationConfig, {"variant": "v3", "relation": "softmax"}, "x.yaml")
    with pytest.raises(ConfigError, match=r"grid\.0"):
        parse_config(ViewRelationConfig, {"grid": [0, 4]}, "x.yaml")
