"""What the project itself can answer with: an opened engine, or the same depth for every frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.evaluation.prediction import Prediction, Predictor
from surround_depth.frame import SurroundDepth, SurroundFrame
from surround_depth.imaging import ImagePlans, InputSpec, plan_images
from surround_depth.inference.backend import Backend
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.metrics.scoreboard import answered_depth_m
from surround_depth.rig import Rig


class EnginePredictor:
    """An opened engine as a predictor, for scenes of any calibration."""

    def __init__(self, backend: Backend) -> None:
        self._pipelines = RigPipelines(backend)
        self._last: tuple[Rig, Rig] | None = None  # as the frames have it, and without own-body masks

    def infer(self, frame: SurroundFrame) -> SurroundDepth:
        """Return the pipeline's answer for `frame`."""
        return self._pipelines.for_rig(frame.rig)(frame)

    def __call__(self, frame: SurroundFrame) -> Prediction:
        """Return depth and confidence; what was taken for sky is answered with the engine's farthest depth.

        The own vehicle is answered like everything else: whether it counts is the protocol's business, and most
        published ones count it.
        """
        pipeline = self._pipelines.for_rig(self._unmasked(frame.rig))
        depth = pipeline(replace(frame, rig=pipeline.rig))
        answered_m = answered_depth_m(depth.depth_m, depth.sky, self._pipelines.backend.spec.max_depth_m)
        windows = tuple(plan.window for plan in pipeline.plans.plans)
        return Prediction(tuple(answered_m), windows, tuple(depth.confidence))

    def _unmasked(self, rig: Rig) -> Rig:
        if self._last is None or self._last[0] is not rig:
            self._last = rig, rig.with_cameras(tuple(camera.with_own_body(None) for camera in rig.cameras))
        return self._last[1]


def constant_predictor(depth_m: NDArray[np.float32], spec: InputSpec) -> Predictor:
    """Return the predictor that answers the same depth [N, H, W] for every frame, on the network's pixels of `spec`."""
    planner = Planner(spec)

    def predict(frame: SurroundFrame) -> Prediction:
        if len(depth_m) != len(frame.rig):
            raise DataError(
                f"frame {frame.frame_id}: a prediction for {len(depth_m)} cameras cannot answer for "
                f"{', '.join(frame.rig.names)}"
            )
        return Prediction(tuple(depth_m), tuple(plan.window for plan in planner.plans(frame.rig).plans))

    return predict


class Planner:
    """The image plans of the rig at hand, made anew only when the calibration changes."""

    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        self._fingerprint = ""
        self._plans: ImagePlans | None = None

    def plans(self, rig: Rig) -> ImagePlans:
        """Return the plans of `rig`."""
        fingerprint = rig.fingerprint
        if self._plans is None or fingerprint != self._fingerprint:
            self._plans, self._fingerprint = plan_images(rig, self._spec), fingerprint
        return self._plans
