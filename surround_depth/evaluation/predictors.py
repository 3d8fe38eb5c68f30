"""Everything that can be scored: a function from a frame to depth [N, H, W] at network resolution, NaN = no answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from surround_depth.frame import SurroundDepth, SurroundFrame
from surround_depth.inference.backend import Backend
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.metrics.scoreboard import answered_depth_m

Predictor = Callable[[SurroundFrame], NDArray[np.float32]]


class EnginePredictor:
    """An opened engine as a predictor, for scenes of any calibration."""

    def __init__(self, backend: Backend) -> None:
        self._pipelines = RigPipelines(backend)

    def infer(self, frame: SurroundFrame) -> SurroundDepth:
        """Return the pipeline's answer for `frame`."""
        return self._pipelines.for_rig(frame.rig)(frame)

    def __call__(self, frame: SurroundFrame) -> NDArray[np.float32]:
        """Return the depth; what was taken for sky is answered with the engine's farthest depth."""
        depth = self.infer(frame)
        return answered_depth_m(depth.depth_m, depth.sky, self._pipelines.backend.spec.max_depth_m)


def constant_predictor(depth_m: NDArray[np.float32]) -> Predictor:
    """Return the predictor that answers the same depth [N, H, W] for every frame."""
    return lambda frame: depth_m
