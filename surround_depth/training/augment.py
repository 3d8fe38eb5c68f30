"""Random changes of a training sample that keep images, rays, poses and labels one consistent rig."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from surround_depth.training.config import AugmentConfig
from surround_depth.training.samples import PreparedSample

_MIRROR_EGO = np.diag([1.0, -1.0, 1.0, 1.0]).astype(np.float32)  # left and right of the vehicle (y)
_MIRROR_CAM = np.diag([-1.0, 1.0, 1.0, 1.0]).astype(np.float32)  # left and right of the image (x)


def augment(sample: PreparedSample, config: AugmentConfig, rng: np.random.Generator) -> PreparedSample:
    """Return `sample` with a random mirror, colour change and camera drop-out. Every draw comes from `rng`."""
    if rng.random() < config.flip:
        sample = mirror(sample)
    sample = replace(sample, images=jitter(sample.images, config, rng))
    if rng.random() < config.camera_dropout and sample.camera_valid.sum() > 1:
        sample = drop_camera(sample, int(rng.choice(np.flatnonzero(sample.camera_valid))))
    return sample


def mirror(sample: PreparedSample) -> PreparedSample:
    """Return the sample as the mirrored vehicle would have recorded it (y -> -y in the ego frame).

    A mirrored camera looks along the mirrored ray: `T' = S_ego T S_cam` stays a proper rotation, since both factors
    change its sign. The camera order does not change; the network knows no camera names.
    """
    flipped_lidar = sample.lidar_m[..., ::-1].reshape(-1)
    index = np.flatnonzero(np.isfinite(flipped_lidar))
    return replace(
        sample,
        images=sample.images[:, :, ::-1],
        rays=sample.rays[:, :, ::-1] * np.array([-1, 1, 1], np.float32),
        T_ego_cam=(_MIRROR_EGO @ sample.T_ego_cam @ _MIRROR_CAM).astype(np.float32),
        own_body=sample.own_body[..., ::-1],
        lidar_index=index.astype(np.int32),
        lidar_depth_m=flipped_lidar[index],
        relative=sample.relative[..., ::-1],
        teacher_valid=sample.teacher_valid[..., ::-1],
        sky=sample.sky[..., ::-1],
    )


def jitter(images: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return images [N, H, W, 3] under one random light (brightness, contrast, tint), as one table per channel."""
    gain = 1.0 + rng.uniform(-config.brightness, config.brightness)
    contrast = 1.0 + rng.uniform(-config.contrast, config.contrast)
    tint = 1.0 + rng.uniform(-config.colour, config.colour, size=3)
    levels = np.arange(256.0)[:, None]
    table = ((levels - 127.5) * contrast + 127.5) * gain * tint  # [256, 3]
    table = table.round().clip(0, 255).astype(np.uint8)
    return np.stack([table[images[..., c], c] for c in range(3)], axis=-1)


def drop_camera(sample: PreparedSample, camera: int) -> PreparedSample:
    """Return the sample with one camera dead: black, and supervised nowhere."""
    images, camera_valid = sample.images.copy(), sample.camera_valid.copy()
    images[camera] = 0
    camera_valid[camera] = False
    return replace(sample, images=images, camera_valid=camera_valid)
