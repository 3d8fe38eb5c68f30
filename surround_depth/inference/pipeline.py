"""The main path: one frame of a calibrated rig in, metric depth with honest validity out.

frame -> prepare (decode, resize, crop) -> infer (the whole network) -> decode (what may be trusted) -> SurroundDepth
"""

from __future__ import annotations

import numpy as np

from surround_depth.errors import EngineMismatchError
from surround_depth.frame import SurroundDepth, SurroundFrame
from surround_depth.geometry import MIN_RAY_Z
from surround_depth.imaging import plan_images
from surround_depth.inference.backend import Backend, EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.inference.latency import LatencyRecorder
from surround_depth.inference.rig_check import require_same_rig
from surround_depth.rig import Rig

# Depth this close to the end of the engine's range means "nothing there": the last bins hold the sky.
SKY_FRACTION_OF_MAX_DEPTH = 0.9


class SurroundDepthPipeline:
    """Turns frames of one rig into depth. A re-calibrated rig needs a new pipeline, never a new engine.

    Args:
        backend: an opened engine; the caller closes it.
        rig: the cameras the frames come from, at most `backend.spec.n_cameras`.
        latency: receives the stages "prepare", "infer" and "decode"; by default the pipeline keeps its own.

    Raises:
        EngineMismatchError: the rig has more cameras than the engine.
    """

    def __init__(self, backend: Backend, rig: Rig, *, latency: LatencyRecorder | None = None) -> None:
        self.backend = backend
        self.rig = rig
        self.latency = LatencyRecorder() if latency is None else latency
        self._plans = plan_images(rig, backend.spec.input)
        # Pixels that can never have a depth: our own vehicle, and corners outside a fisheye's image circle.
        self._blind = self._plans.own_body | ~(self._plans.pixel_rays[..., 2] > MIN_RAY_Z)
        self._slots = _EngineSlots(backend.spec, self._plans.rays, rig)

    def __call__(self, frame: SurroundFrame) -> SurroundDepth:
        """Return the depth of one frame, in the cameras of the network-resolution rig.

        Raises:
            CalibrationError: the frame comes from another rig or another calibration; the difference is named.
            DataError: an image cannot be decoded or has not its camera's size.
        """
        require_same_rig(self.rig, frame.rig)
        with self.latency.stage("prepare"):
            images = self._plans.prepare(frame.images)
        with self.latency.stage("infer"):
            outputs = self.backend.infer(self._slots.fill(images, frame.camera_valid))
        with self.latency.stage("decode"):
            return self._decode(frame, images, outputs)

    def _decode(self, frame: SurroundFrame, images: np.ndarray, outputs: NetworkOutputs) -> SurroundDepth:
        """Decide which pixels have a depth: not those of a dead camera, our own vehicle, the sky, or out of range."""
        spec, n = self.backend.spec, len(self.rig)
        depth_m, confidence = outputs.depth_m[:n], outputs.confidence[:n]
        seen = frame.camera_valid[:, None, None] & ~self._blind & np.isfinite(depth_m) & np.isfinite(confidence)
        sky = seen & (depth_m >= SKY_FRACTION_OF_MAX_DEPTH * spec.max_depth_m)
        valid = seen & ~sky & (depth_m >= spec.min_depth_m)
        return SurroundDepth(
            frame_id=frame.frame_id,
            rig=self._plans.network_rig,
            depth_m=np.where(valid, depth_m, np.float32(np.nan)),
            valid=valid,
            sky=sky,
            confidence=np.where(seen, confidence, np.float32(0.0)),
            images=images,
            stamps_ns=frame.stamps_ns,
            T_world_ego=frame.T_world_ego,
            camera_valid=frame.camera_valid,
        )


class _EngineSlots:
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
        self._rays[..., 2] = 1.0  # an empty slot still needs unit rays: a zero vector would be NaN once normalised
        self._rays[:n] = rays
        self._T_ego_cam = np.tile(np.eye(4, dtype=np.float32), (spec.n_cameras, 1, 1))
        self._T_ego_cam[:n] = rig.T_ego_cam

    def fill(self, images: np.ndarray, camera_valid: np.ndarray) -> NetworkInputs:
        """Return the engine's inputs for images uint8 [N, H, W, 3] and camera_valid bool [N] of the rig's cameras."""
        n_slots, n = self._shapes["images"][0], len(images)
        slots_valid = np.zeros(n_slots, np.float32)
        slots_valid[:n] = camera_valid
        if n < n_slots:
            images = np.concatenate([images, np.zeros((n_slots - n, *images.shape[1:]), np.uint8)])
        return NetworkInputs(images, self._rays, self._T_ego_cam, slots_valid)
