"""Spoilt pictures for the test alone: none of these operations is in `training.corruption`, so none was learnt.

After the kinds of Hendrycks and Dietterich 2019 (ImageNet-C, arXiv 1903.12261), at one middle severity each. Fog
follows the true depth (Koschmieder's law), which a uniform veil does not: it hides what is far, as weather does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Operation = Callable[[Picture, NDArray[np.float32], np.random.Generator], Picture]

FOG_SIGHT_M = 60.0
"""Where fog leaves 5 % of the contrast (the meteorological optical range)."""
FOG_GREY = 205.0
BLUR_SHARE = 0.03
"""Length of the motion blur, of the picture's width."""
IMPULSE_SHARE = 0.04
DARK_EXPOSURE = 0.12
FULL_WELL = 600.0
"""Electrons of a white pixel in the dark picture: how strong its shot noise is."""
N_SPOTS = 6


def motion_blur(image: Picture, depth_m: NDArray[np.float32], rng: np.random.Generator) -> Picture:
    """Smear along a line of random direction."""
    length_px = max(3, round(BLUR_SHARE * image.shape[1]))
    side_px = length_px | 1  # odd: the kernel has a middle
    angle_rad = rng.uniform(0.0, np.pi)
    steps = np.linspace(-0.5, 0.5, 8 * side_px) * (length_px - 1)
    kernel = np.zeros((side_px, side_px), np.float32)
    middle = side_px // 2
    rows = np.rint(middle + steps * np.sin(angle_rad)).astype(int)
    columns = np.rint(middle + steps * np.cos(angle_rad)).astype(int)
    np.add.at(kernel, (rows, columns), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)


def impulse_noise(image: Picture, depth_m: NDArray[np.float32], rng: np.random.Generator) -> Picture:
    """Turn a share of the pixels black or white."""
    draw = rng.random(image.shape[:2])
    spoilt = image.copy()
    spoilt[draw < IMPULSE_SHARE / 2] = 0
    spoilt[draw > 1.0 - IMPULSE_SHARE / 2] = 255
    return spoilt


def fog(image: Picture, depth_m: NDArray[np.float32], rng: np.random.Generator) -> Picture:
    """Blend with grey by the true z-depth; the sky (NaN) is all grey."""
    clear = np.exp(np.log(0.05) / FOG_SIGHT_M * np.where(np.isfinite(depth_m), depth_m, np.inf))[..., None]
    return _picture(image * clear + FOG_GREY * (1.0 - clear))


def dark(image: Picture, depth_m: NDArray[np.float32], rng: np.random.Generator) -> Picture:
    """Take away light and count photons; then amplify to half of the old brightness."""
    electrons = rng.poisson(image / 255.0 * DARK_EXPOSURE * FULL_WELL)
    return _picture(electrons * (0.5 * 255.0 / (DARK_EXPOSURE * FULL_WELL)))


def dirt(image: Picture, depth_m: NDArray[np.float32], rng: np.random.Generator) -> Picture:
    """Put soft brown spots on the lens, each up to an eighth of the width across."""
    height_px, width_px = image.shape[:2]
    cover = np.zeros((height_px, width_px), np.float32)
    for _ in range(N_SPOTS):
        center = int(rng.integers(width_px)), int(rng.integers(height_px))
        cv2.circle(cover, center, round(rng.uniform(0.03, 0.0625) * width_px), 0.9, -1)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.01 * width_px)[..., None]
    return _picture(image * (1.0 - cover) + np.array([70.0, 58.0, 45.0]) * cover)


OPERATIONS: tuple[Operation, ...] = (motion_blur, impulse_noise, fog, dark, dirt)


def operations_sha256() -> str:
    """Return a hash over what the operations do to one picture: their strengths are in it, their wording is not."""
    rows, columns = np.mgrid[0:64, 0:96]
    image = np.stack((2 * rows, 2 * columns, rows + columns), axis=-1).astype(np.uint8)
    depth_m = np.where(rows > 8, rows, np.nan).astype(np.float32)
    done = hashlib.sha256()
    for spoil in OPERATIONS:
        done.update(spoil(image, depth_m, np.random.default_rng(0)).tobytes())
    return done.hexdigest()


def _picture(values: NDArray[np.floating]) -> Picture:
    return values.round().clip(0, 255).astype(np.uint8)
