"""Everything that can be scored: a function from a frame to depth [N, H, W] at network resolution, NaN = no answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from surround_depth.frame import SurroundDepth, SurroundFrame
from surround_depth.inference.backend import Backend
from surround_depth.inference.pipeline import SurroundDepthPipeline

Predictor = Callable[[SurroundFrame], NDArray[np.float32]]


class EnginePredictor:
    """An opened engine as a predictor; it plans anew when the calibration changes, as it does from scene to scene."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._pipeline: SurroundDepthPipeline | None = None
        self._fingerprint = ""

    def infer(self, frame: SurroundFrame) -> SurroundDepth:
        """Return the pipeline's answer for `frame`."""
        fingerprint = frame.rig.fingerprint
        if self._pipeline is None or fingerprint != self._fingerprint:
            self._pipeline, self._fingerprint = SurroundDepthPipeline(self._backend, frame.rig), fingerprint
        return self._pipeline(frame)

    def __call__(self, frame: SurroundFrame) -> NDArray[np.float32]:
        """Return the depth; what was taken for sky is answered with the engine's farthest depth, so it cannot hide."""
        depth = self.infer(frame)
        return np.where(depth.sky, np.float32(self._backend.spec.max_depth_m), depth.depth_m)


def constant_predictor(depth_m: NDArray[np.float32]) -> Predictor:
    """Return the predictor that answers the same depth [N, H, W] for every frame."""
    return lambda frame: depth_m
