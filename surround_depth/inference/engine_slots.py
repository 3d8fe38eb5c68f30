"""Fit a rig into an engine whose number of cameras is fixed: the one place where cameras are padded."""

from __future__ import annotations

import numpy as np

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import EngineSpec, NetworkInputs
from surround_depth.inference.gpu_resize import GpuResizer, Picture, RawInputs
from surround_depth.rig import Rig


class EngineSlots:
    """The engine's static camera slots: the rig's cameras first, the rest empty and marked as having no image."""

    def __init__(self, spec: EngineSpec, rays: np.ndarray, rig: Rig) -> None:
        n = len(rig)
        if n > spec.n_cameras:
            raise EngineMismatchError(
                f"rig '{rig.name}' has {n} cameras and the engine was built for {spec.n_cameras}; "
                f"rebuild it with python deploy/build_engine.py --cameras {n}, or select fewer cameras"
            )
        self._shapes = spec.input_shapes()
        self._rays = np.zeros(self._shapes["rays"], np.float32)
        self._rays[..., 2] = 1.0  # unit rays in empty slots too: nothing downstream meets a zero length
        self._rays[:n] = rays
        self._T_ego_cam = np.tile(np.eye(4, dtype=np.float32), (spec.n_cameras, 1, 1))
        self._T_ego_cam[:n] = rig.T_ego_cam

    def fill(self, images: np.ndarray, camera_valid: np.ndarray) -> NetworkInputs:
        """Return the engine's inputs for images uint8 [N, H, W, 3] and camera_valid bool [N] of the rig's cameras."""
        n_slots, n = self._shapes["images"][0], len(images)
        if n < n_slots:
            images = np.concatenate([images, np.zeros((n_slots - n, *images.shape[1:]), np.uint8)])
        return NetworkInputs(images, self._rays, self._T_ego_cam, self._valid(camera_valid))

    def fill_raw(
        self, pictures: tuple[Picture | None, ...], camera_valid: np.ndarray, resizer: GpuResizer
    ) -> RawInputs:
        """Return the same for decoded pictures of the rig's cameras, which `resizer` brings to the network's size."""
        return RawInputs(pictures, resizer, self._rays, self._T_ego_cam, self._valid(camera_valid))

    def _valid(self, camera_valid: np.ndarray) -> np.ndarray:
        slots_valid = np.zeros(self._shapes["camera_valid"], np.float32)
        slots_valid[: len(camera_valid)] = camera_valid
        return slots_valid
