"""Where the cameras' pictures become the network's: on the host by imaging, or on the GPU of a TensorRT engine.

The pipeline takes one of the two classes: `SurroundDepthPipeline(backend, rig, preparation=GpuPreparation)`. The pixels
are the same, to the bit where imaging takes its own averages and within one grey level where it takes OpenCV's.
"""

from __future__ import annotations

import weakref
from concurrent.futures import Executor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import EngineMismatchError
from surround_depth.frame import Image
from surround_depth.imaging import ImagePlan, ImagePlans
from surround_depth.inference.backend import Backend, Inferred, NetworkInputs
from surround_depth.inference.engine_slots import EngineSlots
from surround_depth.inference.gpu_resize import RawInputs
from surround_depth.inference.tensorrt_backend import TensorRTBackend


class Preparation(Protocol):
    """Two steps that may work on neighbouring frames at the same time: `prepare` is the CPU's, `infer` the engine's."""

    def prepare(self, images: tuple[Image | None, ...], camera_valid: np.ndarray, decoders: Executor) -> Any:
        """Return a frame as `infer` takes it; `decoders` may decode its cameras side by side.

        Raises:
            DataError: an image cannot be decoded or has not its camera's size.
        """
        ...

    def infer(self, inputs: Any) -> Inferred: ...


class OpensPreparation(Protocol):
    """Either class below, or a customer's own."""

    def __call__(self, backend: Any, plans: ImagePlans, slots: EngineSlots) -> Preparation: ...


class HostPreparation:
    """Decodes, resizes and crops on the CPU, for every engine."""

    def __init__(self, backend: Backend, plans: ImagePlans, slots: EngineSlots) -> None:
        self._backend, self._plans, self._slots = backend, plans, slots

    def prepare(self, images: tuple[Image | None, ...], camera_valid: np.ndarray, decoders: Executor) -> NetworkInputs:
        return self._slots.fill(self._plans.prepare(images, decoders), camera_valid)

    def infer(self, inputs: NetworkInputs) -> Inferred:
        return Inferred(self._backend.infer(inputs), inputs.images)


class GpuPreparation:
    """Decodes on the CPU; whole pictures go to the GPU, which resizes and crops them. Never run on a GPU yet.

    Raises:
        EngineMismatchError: the engine is no TensorRT engine, or the kernel does not compile or load.
        MissingDependencyError: the kernel has to be compiled and NVRTC is not installed.
    """

    def __init__(self, backend: Backend, plans: ImagePlans, slots: EngineSlots) -> None:
        if not isinstance(backend, TensorRTBackend):
            raise EngineMismatchError(
                f"only a TensorRT engine resizes on its GPU, and this is a {type(backend).__name__}; "
                "leave preparation=GpuPreparation out"
            )
        self._backend, self._plans, self._slots = backend, plans, slots
        self._resizer = backend.resizer(plans)
        # A re-calibrated rig gets another preparation; the memory of this one goes when nobody holds it.
        weakref.finalize(self, self._resizer.close).atexit = False

    def prepare(self, images: tuple[Image | None, ...], camera_valid: np.ndarray, decoders: Executor) -> RawInputs:
        pictures = tuple(decoders.map(_decoded, self._plans.plans, images))
        return self._slots.fill_raw(pictures, camera_valid, self._resizer)

    def infer(self, inputs: RawInputs) -> Inferred:
        return self._backend.infer_raw(inputs)


def _decoded(plan: ImagePlan, image: Image | None) -> NDArray[np.uint8] | None:
    return None if image is None else plan.decode(image)
