"""The main path: one frame of a calibrated rig in, metric depth with honest validity out.

prepare   decode the JPEGs, resize, crop                    imaging
infer     the whole network, pixels and rays to metres      the engine
decode    which pixels have a depth, which see the sky      here
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from surround_depth.frame import Image, SurroundDepth, SurroundFrame
from surround_depth.geometry import MIN_RAY_Z
from surround_depth.imaging import plan_images
from surround_depth.inference.backend import Backend, Inferred
from surround_depth.inference.cpu import physical_cores
from surround_depth.inference.engine_slots import EngineSlots
from surround_depth.inference.latency import LatencyRecorder
from surround_depth.inference.preparation import HostPreparation, OpensPreparation
from surround_depth.inference.rig_check import require_same_calibration
from surround_depth.rig import Rig


@dataclass(frozen=True, eq=False)
class PreparedFrame:
    """A frame, and all that the engine reads of it."""

    frame: SurroundFrame
    inputs: Any


class SurroundDepthPipeline:
    """Turns frames of one rig into depth. A re-calibrated rig needs a new pipeline, never a new engine.

    Args:
        backend: an opened engine; the caller closes it.
        rig: the cameras the frames come from, at most `backend.spec.n_cameras`.
        latency: receives the stages "prepare", "infer" and "decode"; by default the pipeline keeps its own.
        preparation: where pictures are resized; `GpuPreparation` does it on the GPU of a TensorRT engine.

    Raises:
        EngineMismatchError: the rig has more cameras than the engine, or the engine cannot prepare so.
    """

    def __init__(
        self,
        backend: Backend,
        rig: Rig,
        *,
        latency: LatencyRecorder | None = None,
        preparation: OpensPreparation = HostPreparation,
    ) -> None:
        self.backend = backend
        self.rig = rig
        self._accepted_rig = rig  # the last one compared: a sequence repeats one object
        self.latency = LatencyRecorder() if latency is None else latency
        self.plans = plan_images(rig, backend.spec.input)  # truth is brought to the network's pixels with them too
        # Pixels that can never have a depth: our own vehicle, and corners outside a fisheye's image circle.
        self._blind = self.plans.own_body | ~(self.plans.pixel_rays[..., 2] > MIN_RAY_Z)
        self._preparation = preparation(backend, self.plans, EngineSlots(backend.spec, self.plans.rays, rig))
        # No `close` needed: its threads start with the first frame and end when the pipeline is gone.
        self._decoders = ThreadPoolExecutor(min(len(rig), physical_cores()), thread_name_prefix="decode")

    def __call__(self, frame: SurroundFrame) -> SurroundDepth:
        """Return the depth of one frame, in the cameras of the network-resolution rig.

        Raises:
            CalibrationError, DataError: as `prepare`.
        """
        with self.latency.stage("prepare"):
            prepared = self.prepare(frame)
        with self.latency.stage("infer"):
            inferred = self.infer(prepared)
        with self.latency.stage("decode"):
            return self.decode(prepared, inferred)

    # The three steps, for a host that runs them on threads of their own (`inference.overlapped` does): each may work
    # on another frame while the others do, as long as no step runs twice at the same time.

    def prepare(self, frame: SurroundFrame) -> PreparedFrame:
        """Return the frame as the engine reads it.

        Raises:
            CalibrationError: the frame comes from another rig or another calibration; the difference is named.
            DataError: an image cannot be decoded or has not its camera's size.
        """
        if frame.rig is not self._accepted_rig:
            require_same_calibration(self.rig, frame.rig)
            self._accepted_rig = frame.rig
        return PreparedFrame(frame, self._preparation.prepare(_live_images(frame), frame.camera_valid, self._decoders))

    def infer(self, prepared: PreparedFrame) -> Inferred:
        """Return what the engine says of every slot."""
        return self._preparation.infer(prepared.inputs)

    def decode(self, prepared: PreparedFrame, inferred: Inferred) -> SurroundDepth:
        """Decide which pixels have a depth: not those of a dead camera, our own vehicle, the sky, or out of range."""
        frame = prepared.frame
        spec, n = self.backend.spec, len(self.rig)
        depth_m, confidence = inferred.outputs.depth_m[:n], inferred.outputs.confidence[:n]
        seen = frame.camera_valid[:, None, None] & ~self._blind & np.isfinite(depth_m) & np.isfinite(confidence)
        sky = seen & (depth_m >= spec.reach_m)
        valid = seen & ~sky & (depth_m >= spec.min_depth_m)
        return SurroundDepth(
            frame_id=frame.frame_id,
            rig=self.plans.network_rig,
            depth_m=np.where(valid, depth_m, np.float32(np.nan)),
            valid=valid,
            sky=sky,
            confidence=np.where(seen, confidence, np.float32(0.0)).clip(0.0, 1.0),
            images=inferred.images[:n],
            stamps_ns=frame.stamps_ns,
            T_world_ego=frame.T_world_ego,
            camera_valid=frame.camera_valid,
        )


def _live_images(frame: SurroundFrame) -> tuple[Image | None, ...]:
    """Return the images without those of dead cameras: what a broken camera sent is not even decoded."""
    return tuple(image if valid else None for image, valid in zip(frame.images, frame.camera_valid, strict=True))
