"""Distillation baselines beside OpenCV, scipy and the numbers of hand."""

from __future__ import annotations

import math
from itertools import combinations
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import pdist
from scipy.special import softmax

from surround_depth.losses.baselines import (
    Density,
    density_map,
    fitnets,
    kd_l1,
    kd_silog,
    rkd,
    tie,
    tie_density,
    tie_structure,
)
from surround_depth.losses.masked import Term

NAN = math.nan
TIE_EDGES_M = np.linspace(1e-3, 80.0, 258)
TIE_CENTERS_M = torch.from_numpy(0.5 * (TIE_EDGES_M[1:] + TIE_EDGES_M[:-1]))[None, None]
densities = pytest.mark.parametrize("density", get_args(Density))


def everywhere(of: torch.Tensor) -> torch.Tensor:
    return torch.ones(of.shape, dtype=torch.bool)


def test_responses_by_hand_and_without_a_gradient_for_the_teacher() -> None:
    teacher_m = torch.full((1, 1, 4, 5), 10.0)
    teacher_m[..., 4] = NAN
    mask = teacher_m.isfinite()
    teacher_m.requires_grad_()
    depth_m = torch.full_like(teacher_m, 10.0 * math.e).requires_grad_()
    metres, silog = kd_l1(depth_m, teacher_m, mask), kd_silog(depth_m, teacher_m, mask)
    assert metres.value.item() == pytest.approx(10 * (math.e - 1))
    assert silog.value.item() == pytest.approx(10 * math.sqrt(0.15), rel=1e-6)  # every e = 1
    (metres.value + silog.value).backward()
    assert teacher_m.grad is None
    assert depth_m.grad is not None
    assert torch.isfinite(depth_m.grad).all()


def test_fitnets_by_hand() -> None:
    teacher = torch.tensor([[3.0, NAN], [4.0, NAN]]).reshape(1, 1, 2, 1, 2)  # of length 1: 0.6, 0.8
    adapted = torch.tensor([[1.0, NAN], [1.0, NAN]]).reshape(1, 1, 2, 1, 2).requires_grad_()
    mask = torch.tensor([True, False]).reshape(1, 1, 1, 2)
    term = fitnets(adapted, teacher, mask)
    assert (term.value.item(), term.count.item()) == (pytest.approx(0.4**2 + 0.2**2), 1)
    term.value.backward()
    assert adapted.grad is not None
    assert adapted.grad.flatten().tolist() == pytest.approx([2 * 0.4, 0.0, 2 * 0.2, 0.0])
    unit = torch.tensor([0.6, 0.8]).reshape(1, 1, 2, 1, 1)
    assert fitnets(unit, 9 * unit, everywhere(unit[:, :, 0])).value.item() == pytest.approx(0.0, abs=1e-12)
    assert fitnets(adapted, teacher, torch.zeros_like(mask)).value.item() == 0.0


# --- RKD


def vectors_of(maps: torch.Tensor) -> np.ndarray:
    return maps.flatten(0, 1).mean(dim=(2, 3)).numpy()


def relations(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative distances of pairs, by scipy, and the cosines at each apex between each two others, one by one."""
    cosines = []
    for apex in range(len(vectors)):
        for a, b in combinations([k for k in range(len(vectors)) if k != apex], 2):
            legs = vectors[a] - vectors[apex], vectors[b] - vectors[apex]
            cosines.append(legs[0] @ legs[1] / np.linalg.norm(legs[0]) / np.linalg.norm(legs[1]))
    return pdist(vectors) / pdist(vectors).mean(), np.array(cosines)


def huber(e: np.ndarray) -> float:
    return float(np.where(np.abs(e) < 1, 0.5 * e**2, np.abs(e) - 0.5).mean())


def test_rkd_over_the_whole_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(2, 3, 4, 3, 5, generator=generator, dtype=torch.float64)
    teacher = torch.randn(2, 3, 6, 2, 4, generator=generator, dtype=torch.float64)
    keep = torch.ones(2, 3, 6, 10, dtype=torch.bool)
    (d_s, a_s), (d_t, a_t) = relations(vectors_of(student)), relations(vectors_of(teacher))
    term = rkd(student, teacher, keep)
    assert term.value.item() == pytest.approx(huber(d_s - d_t) + 2 * huber(a_s - a_t))
    assert term.count.item() == 15
    assert torch.autograd.gradcheck(lambda s: rkd(s, teacher, keep).value, student.requires_grad_())


def test_rkd_without_a_dead_camera_and_at_its_optimum() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(1, 4, 4, 3, 5, generator=generator)
    teacher = torch.randn(1, 4, 6, 2, 4, generator=generator)
    keep = torch.ones(1, 4, 6, 10, dtype=torch.bool)
    expected = rkd(student[:, :3], teacher[:, :3], keep[:, :3]).value.item()
    student[:, 3], teacher[:, 3], keep[:, 3] = NAN, NAN, False
    student.requires_grad_(), teacher.requires_grad_()
    term = rkd(student, teacher, keep)
    assert (term.value.item(), term.count.item()) == (pytest.approx(expected), 3)
    term.value.backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
    assert (student.grad[:, 3] == 0).all()
    # the same shape, larger, moved and mirrored
    assert rkd(student, 5 - 3 * student, keep).value.item() == pytest.approx(0.0, abs=1e-6)
    assert rkd(student, teacher, torch.zeros_like(keep)).value.item() == 0.0


# --- TIE-KD


@densities
def test_density_map_is_scipys(density: Density) -> None:
    found = density_map(torch.full((1, 1, 1, 1), 20.1, dtype=torch.float64), TIE_CENTERS_M, density).flatten().numpy()
    normal = stats.norm(20.1, 0.5)
    centers_m = TIE_CENTERS_M.flatten().numpy()
    q = normal.pdf(centers_m)
    published = softmax(np.where(q < 1e-16, -1000.0, q))
    np.testing.assert_allclose(found, published if density == "published" else softmax(normal.logpdf(centers_m)))


def test_the_published_map_is_nearly_flat() -> None:
    """distillation.md, 4.3: 27 bins of the 257, at most 0.070, peak to tail 2.2 to 1."""
    at_a_center = torch.full((1, 1, 1, 1), float(TIE_CENTERS_M[0, 0, 100]), dtype=torch.float64)
    p = density_map(at_a_center, TIE_CENTERS_M, "published").flatten()
    assert (p > 0).sum().item() == 27
    assert p.max().item() == pytest.approx(0.070, abs=1e-3)
    assert (p.max() / p[p > 0].min()).item() == pytest.approx(2.2, abs=0.05)
    # a Gaussian has its density times the 80 / 257 m from center to center there
    peak = stats.norm.pdf(0, scale=0.5) * 80 / 257
    assert density_map(at_a_center, TIE_CENTERS_M, "log").max().item() == pytest.approx(peak, rel=1e-3)


def test_the_published_map_far_from_every_center_says_nothing() -> None:
    centers_m = torch.tensor([[[1.0, 50.0, 100.0]]])
    assert density_map(torch.full((1, 1, 1, 1), 70.0), centers_m, "published").flatten().tolist() == pytest.approx(
        [1 / 3] * 3
    )
    assert density_map(torch.full((1, 1, 1, 1), 70.0), centers_m, "log").flatten().tolist() == [0.0, 1.0, 0.0]


def test_tie_density_by_numpy_and_masked() -> None:
    centers_m = torch.tensor([[[4.0, 5.0, 6.0, 30.0]]], dtype=torch.float64)
    teacher_m = torch.tensor([4.6, NAN], dtype=torch.float64).reshape(1, 1, 1, 2).requires_grad_()
    logits = torch.tensor([[0.3, NAN], [1.0, NAN], [-0.5, NAN], [0.0, NAN]], dtype=torch.float64)
    logits = logits.reshape(1, 1, 4, 1, 2).requires_grad_()
    mask = torch.tensor([True, False]).reshape(1, 1, 1, 2)
    q = stats.norm.pdf([4.0, 5.0, 6.0], 4.6, 0.5)
    target, p = softmax(q), softmax([0.3, 1.0, -0.5, 0.0])[:3]  # nothing at 30 m
    term = tie_density(logits, centers_m, teacher_m, mask)
    assert term.value.item() == pytest.approx(float((target * np.log(target / (p + 1e-7) + 1e-7)).sum()))
    assert term.count.item() == 1
    term.value.backward()
    assert teacher_m.grad is None
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[..., 1] == 0).all()
    assert tie_density(logits, centers_m, teacher_m, torch.zeros_like(mask)).value.item() == 0.0


@densities
def test_tie_density_at_its_optimum_and_its_gradient(density: Density) -> None:
    centers_m = torch.tensor([[[4.0, 5.0, 6.0, 7.0]]], dtype=torch.float64)
    teacher_m = torch.tensor([4.6, 6.2], dtype=torch.float64).reshape(1, 1, 1, 2)
    best = torch.log(density_map(teacher_m, centers_m, density))
    mask = everywhere(teacher_m)
    assert tie_density(best, centers_m, teacher_m, mask, density).value.item() == pytest.approx(0.0, abs=1e-5)
    logits = torch.randn(1, 1, 4, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z: tie_density(z, centers_m, teacher_m, mask, density).value, logits.requires_grad_()
    )


def cv2_mean(values: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_CONSTANT)


def test_structure_is_opencvs_windows_in_the_published_formula() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = (cv2.GaussianBlur(rng.uniform(2, 80, (20, 30)), (0, 0), 2.0) for _ in range(2))
    m, n = cv2_mean(ours), cv2_mean(theirs)
    v, w, c = (
        np.abs(cv2_mean(a * b) - x * y)
        for a, b, x, y in ((ours, ours, m, m), (theirs, theirs, n, n), (ours, theirs, m, n))
    )
    ssim = (2 * m * n + 1e-4) * (2 * c + 9e-4) / ((m * m + n * n + 1e-4) * (v + w + 9e-4))
    depth_m, teacher_m = (torch.from_numpy(a)[None, None] for a in (ours, theirs))
    term = tie_structure(depth_m, teacher_m, everywhere(depth_m))
    assert term.value.item() == pytest.approx(1 - ssim.mean())
    assert tie_structure(depth_m.float(), teacher_m.float(), everywhere(depth_m)).value.item() == pytest.approx(
        1 - ssim.mean(), rel=1e-4
    )
    part = np.zeros_like(ssim, dtype=bool)
    part[4:, 7:] = True  # a border that is masked out is as one that is not there
    cropped = tie_structure(
        *(a[..., 4:, 7:].contiguous() for a in (depth_m, teacher_m)), everywhere(depth_m)[..., 4:, 7:]
    )
    masked = tie_structure(depth_m, teacher_m, torch.from_numpy(part)[None, None])
    assert masked.value.item() == pytest.approx(cropped.value.item())


def test_structure_off_the_mask_and_at_its_optimum() -> None:
    generator = torch.Generator().manual_seed(0)
    depth_m = torch.rand(1, 2, 12, 13, generator=generator) * 60 + 2
    assert tie_structure(depth_m, depth_m.clone(), everywhere(depth_m)).value.item() == 0.0
    teacher_m = torch.rand(1, 2, 12, 13, generator=generator) * 60 + 2
    mask = torch.rand(1, 2, 12, 13, generator=generator) < 0.7
    mask[:, 1] = False
    expected = tie_structure(depth_m, teacher_m, mask).value.item()
    depth_m[~mask] = teacher_m[~mask] = NAN
    depth_m.requires_grad_(), teacher_m.requires_grad_()
    term = tie_structure(depth_m, teacher_m, mask)
    assert (term.value.item(), term.count.item()) == (expected, mask.sum().item())
    assert term.value.dtype == torch.float32
    term.value.backward()
    assert teacher_m.grad is None
    assert depth_m.grad is not None
    assert torch.isfinite(depth_m.grad).all()
    assert (depth_m.grad[~mask] == 0).all()
    assert tie_structure(depth_m, teacher_m, torch.zeros_like(mask)).value.item() == 0.0
    small = torch.rand(1, 1, 3, 4, generator=generator, dtype=torch.float64) * 9 + 2
    assert torch.autograd.gradcheck(
        lambda d: tie_structure(d, small.flip(3), everywhere(small)).value, small.clone().requires_grad_()
    )


def test_tie_weighs_its_parts_as_published() -> None:
    term = tie(Term(torch.tensor(2.0), torch.tensor(5)), Term(torch.tensor(0.3), torch.tensor(80)))
    assert (term.value.item(), term.count.item()) == (pytest.approx(10 * (0.1 * 2.0 + 0.9 * 0.3)), 5)
