"""Drives past noise, as a camera on a vehicle sees them that carries a part of itself in its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from box_world import make_camera

from surround_depth.data.sample import Sample
from surround_depth.frame import SurroundFrame
from surround_depth.geometry import rigid
from surround_depth.rig import Camera, Rig

HEIGHT_PX, WIDTH_PX = 120, 160
BODY_CORNERS = ((20, 120), (40, 100), (120, 96), (150, 120))  # (u, v), cut off by the lower border


def make_body_rig(scale: int = 1) -> Rig:
    """Return a camera that sees the road only, and one that sees the vehicle's bonnet."""
    size = {"height_px": HEIGHT_PX * scale, "width_px": WIDTH_PX * scale}
    return Rig("body", (make_camera("F", 0.0, **size), make_camera("B", 180.0, **size)))


def exact_body(camera: Camera) -> np.ndarray:
    """Return True [H, W] where the camera sees the vehicle."""
    scale = camera.width_px // WIDTH_PX
    mask = np.zeros((camera.height_px, camera.width_px), np.uint8)
    if camera.name == "B":
        cv2.fillPoly(mask, [np.array(BODY_CORNERS, np.int32) * scale], 1)
    return mask > 0


@dataclass(frozen=True)
class NoiseDrive:
    """A `SampleSequence` of a street of noise under an even sky, whose skyline is each drive's own or a flat horizon.

    The bonnet has another colour on each drive and reflects a little of the street; a lane mark stays in place on each.
    """

    seed: int
    rig: Rig = field(default_factory=make_body_rig)
    n_samples: int = 10
    step_m: float = 2.0
    posed: bool = True
    is_flat: bool = False

    @property
    def name(self) -> str:
        return f"noise-{self.seed}"

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, index: int) -> Sample:
        T_world_ego = np.stack([rigid(np.eye(3), [index * self.step_m, 0.0, 0.0])] * len(self.rig))
        images = tuple(self._image(camera, index) for camera in self.rig.cameras)
        stamps_ns = np.full(len(self.rig), 10**18 + index * 10**8, np.int64)
        valid = np.ones(len(self.rig), np.bool_)
        frame = SurroundFrame(f"{index}", self.rig, images, stamps_ns, T_world_ego if self.posed else None, valid)
        return Sample(frame, None)

    def _image(self, camera: Camera, index: int) -> np.ndarray:
        look = np.random.default_rng(self.seed)
        lane, paint = look.integers(10, 150), look.integers(30, 220)
        skyline = 40.0 if self.is_flat else look.uniform(20, 50) + look.uniform(-0.2, 0.2) * np.arange(WIDTH_PX)
        street = np.random.default_rng([self.seed, index]).normal(110.0, 25.0, (HEIGHT_PX // 4, WIDTH_PX // 4))
        grey = cv2.resize(street, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
        reflected = 0.05 * (grey - 110.0)
        grey[:, lane : lane + 6] = 240.0
        grey[np.arange(HEIGHT_PX)[:, None] < skyline + np.zeros(WIDTH_PX)] = 200.0
        grey = cv2.resize(grey, (camera.width_px, camera.height_px), interpolation=cv2.INTER_CUBIC)
        body = exact_body(camera)
        grey[body] = paint + cv2.resize(reflected, (camera.width_px, camera.height_px))[body]
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
