"""One engine, drives of many calibrations: the pipeline that follows the rig at hand."""

from __future__ import annotations

from surround_depth.inference.backend import Backend
from surround_depth.inference.pipeline import SurroundDepthPipeline
from surround_depth.inference.preparation import HostPreparation, OpensPreparation
from surround_depth.rig import Rig


class RigPipelines:
    """The pipeline of the rig at hand: made anew when the calibration changes, from scene to scene or midway.

    The engine stays; the caller closes it. `preparation` is every pipeline's, see `SurroundDepthPipeline`.
    """

    def __init__(self, backend: Backend, *, preparation: OpensPreparation = HostPreparation) -> None:
        self.backend = backend
        self._preparation = preparation
        self._pipeline: SurroundDepthPipeline | None = None

    def for_rig(self, rig: Rig) -> SurroundDepthPipeline:
        """Return the pipeline of `rig`.

        Raises:
            EngineMismatchError: the rig has more cameras than the engine, or the engine cannot prepare so.
        """
        if self._pipeline is None or self._pipeline.rig.fingerprint != rig.fingerprint:
            self._pipeline = SurroundDepthPipeline(self.backend, rig, preparation=self._preparation)
        return self._pipeline
