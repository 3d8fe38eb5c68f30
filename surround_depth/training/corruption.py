"""AugMix-style corruption: a picture mixed with differently spoilt copies of itself, so that no one spoiling is learnt.

Source: Hendrycks et al. 2020, "AugMix" (3 chains of 1 to 3 operations, Dirichlet(1) and Beta(1, 1) weights, mixed on
pixels). Ours differs in what a chain is made of: the paper's rotation, shear and translation are left out, because a
picture moved apart from its calibration teaches wrong depth; what lenses, sensors, weather and codecs do to pixels is
put in. The paper's consistency loss is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from surround_depth.imaging import encode_jpeg

Picture = NDArray[np.uint8]
Operation = Callable[[Picture, float, np.random.Generator], Picture]

_N_CHAINS = 3
_MAX_OPERATIONS = 3
_WEAKEST = 0.1  # of the severity: an operation that changes nothing is a wasted draw


def augmix(image: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Return RGB [H, W, 3] mixed with three spoilt versions of it.

    Args:
        severity: 0 to 1; the strength of every operation is drawn from a tenth of it up to it.
    """
    weights = rng.dirichlet(np.ones(_N_CHAINS))
    keep = rng.beta(1.0, 1.0)
    mixed = keep * image.astype(np.float32)
    for weight in weights:
        mixed += np.float32((1.0 - keep) * weight) * _spoilt(image, severity, rng)
    return mixed.round().clip(0, 255).astype(np.uint8)


def _spoilt(image: Picture, severity: float, rng: np.random.Generator) -> Picture:
    """Return the picture after a chain of one to three different operations."""
    for choice in rng.choice(len(OPERATIONS), rng.integers(1, _MAX_OPERATIONS + 1), replace=False):
        image = OPERATIONS[choice](image, severity * rng.uniform(_WEAKEST, 1.0), rng)
    return image


def posterise(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Drop one to five of the 8 bits."""
    dropped = np.uint8(round(1 + 4 * strength))
    return (image >> dropped) << dropped


def change_gamma(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Darken or brighten the middle tones: the exponent lies between 1/2 and 2."""
    exponent = 2.0 ** (strength * rng.choice([-1.0, 1.0]))
    table = (255.0 * (np.arange(256) / 255.0) ** exponent).round().astype(np.uint8)
    return table[image]


def lower_contrast(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Move every pixel up to 80 % of the way to the mean grey of the picture."""
    return _blend(image, float(image.mean()), 0.8 * strength)


def veil(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Lay a light haze over the picture, up to 70 % of it, as stray light on a dirty lens does."""
    return _blend(image, 220.0, 0.7 * strength)


def blur(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Blur with a Gaussian of up to 3 pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.2 + 2.8 * strength), dtype=np.uint8)


def add_noise(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Add Gaussian noise of up to 30 grey levels."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return (image + np.float32(30.0 * strength) * noise).round().clip(0, 255).astype(np.uint8)


def pixelate(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Keep as little as a quarter of the rows and columns."""
    height_px, width_px = image.shape[:2]
    kept = 1.0 - 0.75 * strength
    small = cv2.resize(image, (round(width_px * kept), round(height_px * kept)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width_px, height_px), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def compress(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Write as JPEG of a quality down to 10."""
    jpeg = encode_jpeg(image, quality=round(80 - 70 * strength))
    return np.asarray(simplejpeg.decode_jpeg(jpeg, colorspace="RGB"), dtype=np.uint8)


OPERATIONS: tuple[Operation, ...] = (
    posterise,
    change_gamma,
    lower_contrast,
    veil,
    blur,
    add_noise,
    pixelate,
    compress,
)


def _blend(image: Picture, grey: float, share: float) -> Picture:
    table = ((1.0 - share) * np.arange(256) + share * grey).round().clip(0, 255).astype(np.uint8)
    return table[image]
