"""Corruption moves no content, keeps to the severity, and mixes as the paper does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from surround_depth.training import corruption
from surround_depth.training.corruption import OPERATIONS, augmix, blur, lower_contrast, pixelate, posterise, veil


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    """A smooth picture with edges, at no grey level in particular."""
    noise = np.random.default_rng(0).normal(127, 900, (96, 160, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6.0).clip(0, 255)
    smooth[40:60, 50:90] = [200, 30, 60]
    return smooth.astype(np.uint8)


def test_operations_by_hand() -> None:
    rng = np.random.default_rng(0)
    image = np.array([[[0, 100, 255], [7, 31, 32]]], np.uint8)
    assert posterise(image, 1.0, rng).tolist() == [[[0, 96, 224], [0, 0, 32]]]  # five bits gone: multiples of 32
    assert veil(np.zeros((1, 1, 3), np.uint8), 1.0, rng).tolist() == [[[154, 154, 154]]]  # 0.7 x 220
    two = np.array([[[0, 0, 0], [200, 200, 200]]], np.uint8)  # mean 100
    assert lower_contrast(two, 1.0, rng).tolist() == [[[80, 80, 80], [120, 120, 120]]]
    flat = np.full((16, 16, 3), 77, np.uint8)
    assert (blur(flat, 1.0, rng) == 77).all()
    ramp = np.repeat(np.arange(16, dtype=np.uint8)[None, :, None] * 10, 16, axis=0).repeat(3, axis=-1)
    assert np.unique(pixelate(ramp, 1.0, rng)).tolist() == [15, 55, 95, 135]  # means of four columns


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_stronger_changes_more_and_nothing_moves(operation: corruption.Operation, street: np.ndarray) -> None:
    before = street.copy()
    weak, strong = (operation(street, strength, np.random.default_rng(3)) for strength in (0.1, 1.0))
    assert np.array_equal(street, before)
    assert weak.shape == strong.shape == street.shape
    assert weak.dtype == strong.dtype == np.uint8
    change = [np.abs(image.astype(int) - street).mean() for image in (weak, strong)]
    assert change[0] < change[1]
    assert change[0] < 10
    # OpenCV's phase correlation: the content lies where it lay
    grey = [image.mean(axis=-1).astype(np.float64) for image in (street, strong)]
    (shift_x, shift_y), _ = cv2.phaseCorrelate(*grey)
    assert np.hypot(shift_x, shift_y) < 0.6  # half a block of the coarsest pixelation is no shift of the picture


def test_mixing_follows_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    class Weights:
        def dirichlet(self, alpha: np.ndarray) -> np.ndarray:
            assert alpha.tolist() == [1.0, 1.0, 1.0]
            return np.array([0.5, 0.3, 0.2])

        def beta(self, a: float, b: float) -> float:
            return 0.25

    chains = iter((10, 20, 30))
    monkeypatch.setattr(corruption, "_spoilt", lambda image, severity, rng: np.full_like(image, next(chains)))
    mixed = augmix(np.full((2, 2, 3), 200, np.uint8), 0.3, Weights())  # type: ignore[arg-type]
    assert (mixed == 63).all()  # 0.25 x 200 + 0.75 x (5 + 6 + 6) = 62.75


def test_the_same_seed_spoils_the_same_way(street: np.ndarray) -> None:
    first, again, other = (augmix(street, 0.5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_severity_bounds_the_change(street: np.ndarray) -> None:
    mild, severe = (
        np.mean([np.abs(augmix(street, s, np.random.default_rng(k)).astype(int) - street).mean() for k in range(20)])
        for s in (0.1, 1.0)
    )
    assert mild < 3
    assert severe > 3 * mild
