"""A simulated relative-depth teacher: exact depth, spoilt the way a foundation model spoils it.

Per image: soft edges, a smooth low-frequency bias, fine noise, and an unknown scale and shift. With it the whole
distillation runs, and is tested, without downloading a model. It is the renderer's dense truth with a small smooth
error and exact sky: it shows that the distillation machinery works; it is no evidence for what distillation from a
real teacher brings. Checkpoints say so.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError, DataError
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel


class SimulatedTeacherConfig(StrictModel):
    """How far the teacher is from the truth. Without blur, bias and noise: an oracle up to scale and shift."""

    seed: int = 0
    edge_blur_px: float = Field(default=1.0, ge=0.0)
    """Radius of the box blur of inverse depth; foundation models round their edges."""
    bias: float = Field(default=0.04, ge=0.0, lt=1.0)
    """Amplitude of a smooth relative error (a few waves over the image)."""
    noise: float = Field(default=0.01, ge=0.0, lt=1.0)
    """Standard deviation of relative noise per pixel."""
    scale: tuple[float, float] = (2.0, 20.0)
    """Least and greatest factor on inverse depth in 1/m, drawn evenly for each image; both the same: one for all."""
    shift: tuple[float, float] = (-1.0, 1.0)
    """Least and greatest number added after that, drawn evenly for each image."""
    far_depth_m: float = Field(default=200.0, gt=0.0)
    """Sky and unknown depths enter the edge blur as if at this depth."""

    def model_post_init(self, _: object) -> None:
        for key, (low, high) in (("scale", self.scale), ("shift", self.shift)):
            if low > high:
                raise ConfigError(f"teacher.simulated.{key}: [{low}, {high}] is no range; give the lesser number first")
        if self.scale[0] <= 0.0:
            raise ConfigError(f"teacher.simulated.scale: {self.scale[0]} is not above 0; near must stay large")


class SimulatedTeacher:
    """Turns dense truth into affine-invariant inverse depth; the same sample and camera give the same label."""

    name = "simulated"
    licence = "none (synthetic)"
    metric = False

    def __init__(self, config: SimulatedTeacherConfig | None = None) -> None:
        self.config = config or SimulatedTeacherConfig()
        # the truth that it spoils is part of its labels; whoever keeps them knows of which data they are
        self.fingerprint = hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        """Return the labels of one sample.

        Raises:
            DataError: the sample has no dense truth.
        """
        if sample.truth_depth_m is None or sample.truth_sky is None:
            raise DataError(f"{sample.sample_id}: the simulated teacher needs dense truth; use a synthetic data set")
        truth_m, sky = sample.truth_depth_m, sample.truth_sky
        valid = np.isfinite(truth_m) & ~sky & sample.camera_valid[:, None, None]
        relative = np.zeros_like(truth_m)
        for i, camera in enumerate(sample.camera_names):
            if sample.camera_valid[i]:
                relative[i] = self._spoil(truth_m[i], self._generator(sample.sample_id, camera))
        return TeacherLabel(relative, valid, sky & sample.camera_valid[:, None, None])

    def _generator(self, sample_id: str, camera: str) -> np.random.Generator:
        key = hashlib.sha256(f"{self.config.seed}/{sample_id}/{camera}".encode()).digest()
        return np.random.default_rng(int.from_bytes(key[:8], "little"))

    def _spoil(self, truth_m: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        far_per_m = 1.0 / self.config.far_depth_m
        inverse = np.where(np.isfinite(truth_m), 1.0 / np.maximum(truth_m, 1e-3), far_per_m)
        inverse = box_blur(inverse, round(self.config.edge_blur_px))
        inverse *= 1.0 + self.config.bias * _waves((truth_m.shape[0], truth_m.shape[1]), rng)
        inverse *= 1.0 + self.config.noise * rng.standard_normal(truth_m.shape)
        scale, shift = rng.uniform(*self.config.scale), rng.uniform(*self.config.shift)
        return (scale * inverse + shift).astype(np.float32)


def box_blur(image: NDArray[np.floating], radius_px: int) -> NDArray[np.floating]:
    """Return the mean over a (2 r + 1)^2 box, borders repeated; radius 0 returns the image."""
    if radius_px == 0:
        return image
    side = 2 * radius_px + 1
    return np.asarray(cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE))


def _waves(shape: tuple[int, int], rng: np.random.Generator, n_waves: int = 4) -> NDArray[np.float64]:
    """Return a smooth random field [H, W], about in [-1, 1]: a few plane waves of at most two periods a side."""
    y, x = np.linspace(0, 1, shape[0]), np.linspace(0, 1, shape[1])
    down, along = [], []
    for _ in range(n_waves):
        frequency_y, frequency_x = rng.uniform(-2.0, 2.0, size=2)
        a, b = 2 * np.pi * frequency_y * y, 2 * np.pi * (frequency_x * x + rng.uniform())
        # sin(a + b) = sin a cos b + cos a sin b: sines of a row and of a column instead of every pixel's
        down += [np.sin(a), np.cos(a)]
        along += [np.cos(b), np.sin(b)]
    return np.stack(down, axis=1) @ np.stack(along) / n_waves
