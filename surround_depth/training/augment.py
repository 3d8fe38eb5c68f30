"""Random changes of a training sample that keep images, rays, poses and labels one consistent rig.

What moves pixels is a `Framing`, drawn here and carried out by the image plans; what changes their values is done here.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.imaging import Framing
from surround_depth.training.config import AugmentConfig
from surround_depth.training.context import without_camera
from surround_depth.training.corruption import augmix
from surround_depth.training.prepared import PreparedSample


def draw_framing(config: AugmentConfig, rng: np.random.Generator) -> Framing:
    """Return a random framing for all cameras of a sample.

    One number is taken from `rng` itself, for the mirror; the rest comes from a child of it, so that turning zoom or
    shift on changes none of the other draws.
    """
    mirrored = bool(rng.random() < config.flip)
    (child,) = rng.spawn(1)
    zoom = child.uniform(*config.zoom)
    left_share = 0.5 + 0.5 * config.shift * child.uniform(-1.0, 1.0)
    top_share = 1.0 - config.shift * child.uniform(0.0, 1.0)
    return Framing(zoom, (left_share, top_share), mirrored)


def augment(sample: PreparedSample, config: AugmentConfig, rng: np.random.Generator) -> PreparedSample:
    """Return `sample` with a random colour change, corruption and camera drop-out. Every draw comes from `rng`."""
    (child,) = rng.spawn(1)  # as in `draw_framing`
    images = jitter(sample.images, config, rng)
    sample = replace(sample, images=corrupt(images, sample.camera_valid, config, child))
    if rng.random() < config.camera_dropout and sample.camera_valid.sum() > 1:
        sample = drop_camera(sample, int(rng.choice(np.flatnonzero(sample.camera_valid))))
    return sample


def jitter(images: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return images [N, H, W, 3] under one random light (brightness, contrast, tint), as one table per channel."""
    gain = 1.0 + rng.uniform(-config.brightness, config.brightness)
    contrast = 1.0 + rng.uniform(-config.contrast, config.contrast)
    tint = 1.0 + rng.uniform(-config.colour, config.colour, size=3)
    levels = np.arange(256.0)[:, None]
    table = ((levels - 127.5) * contrast + 127.5) * gain * tint  # [256, 3]
    table = table.round().clip(0, 255).astype(np.uint8)
    n, height_px, width_px, _ = images.shape
    rows = images.reshape(n * height_px, width_px, 3)
    return np.asarray(cv2.LUT(rows, table[:, None]), dtype=np.uint8).reshape(images.shape)


def corrupt(
    images: NDArray[np.uint8], camera_valid: NDArray[np.bool_], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return images [N, H, W, 3], each camera that sees spoilt with probability `augmix`, and differently."""
    spoilt = camera_valid & (rng.random(len(images)) < config.augmix)
    if not spoilt.any():
        return images
    pairs = zip(images, spoilt, strict=True)
    return np.stack([augmix(image, config.augmix_severity, rng) if spoil else image for image, spoil in pairs])


def drop_camera(sample: PreparedSample, camera: int) -> PreparedSample:
    """Return the sample with one camera dead: black, supervised nowhere, and no source of the photometric term."""
    images, camera_valid = sample.images.copy(), sample.camera_valid.copy()
    images[camera] = 0
    camera_valid[camera] = False
    context = None if sample.context is None else without_camera(sample.context, camera)
    return replace(sample, images=images, camera_valid=camera_valid, context=context)
