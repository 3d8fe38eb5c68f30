"""Runs a TensorRT or TensorRT-RTX plan on a GPU: pinned buffers, a stream of its own, one CUDA graph, two copies.

The graph: TensorRT-RTX captures by itself where its runtime configuration offers it; elsewhere the plan is captured
here, after one warm-up. Where it cannot be captured it runs kernel by kernel, and a log line says so.

Honest note: every CUDA and TensorRT name used here is held against the real libraries by the tests, and the control
flow against recording doubles of them; no GPU has run it yet.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from surround_depth.closing import Closing
from surround_depth.errors import EngineMismatchError
from surround_depth.imaging import ImagePlans
from surround_depth.inference.backend import (
    INPUT_NAMES,
    OUTPUT_NAMES,
    EngineSpec,
    Inferred,
    NetworkInputs,
    NetworkOutputs,
)
from surround_depth.inference.cuda_memory import MirroredBuffer
from surround_depth.inference.device import DeviceKind, open_device
from surround_depth.inference.dlpack import DeviceTensor, DeviceType
from surround_depth.inference.gpu_resize import GpuResizer, RawInputs
from surround_depth.inference.latency import DeviceTimes
from surround_depth.inference.manifest import TensorRTRecord
from surround_depth.inference.stage_events import StageEvents
from surround_depth.inference.tensorrt_library import TensorRTKind, load_tensorrt, make_logger
from surround_depth.inference.tensorrt_plan import (
    create_context,
    deserialize,
    require_a_gpu,
    require_declared,
    require_gpu,
    require_version,
)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DeviceOutputs:
    """What the engine says of one frame, left on the GPU; see `DeviceTensor` for how long it is valid."""

    depth_m: DeviceTensor  # float32 [N, H, W]
    confidence: DeviceTensor  # float32 [N, H, W]
    images: DeviceTensor  # uint8 [N, H, W, 3], what the network saw


class TensorRTBackend(Closing):
    """An opened plan.

    Args:
        plan_bytes: the plan, already verified against its manifest.
        spec: what the manifest promises; the plan's own tensors must agree.
        kind: which library built it.
        build: the version and GPU of the build; another version or GPU is refused before deserialising.
        device: the package that memory, streams and events come from; see `device.open_device`.

    Raises:
        EngineMismatchError: no GPU, another version or GPU, a plan that does not deserialise or run, other tensors.
        MissingDependencyError: the library or the device's package is not installed.
    """

    def __init__(
        self,
        plan_bytes: bytes,
        spec: EngineSpec,
        *,
        kind: TensorRTKind,
        build: TensorRTRecord | None,
        device: DeviceKind = "cuda-bindings",
    ) -> None:
        self.spec = spec
        self._stream: int | None = None
        self._buffers: dict[str, MirroredBuffer] = {}
        self._events: StageEvents | None = None
        self._graph: Any = None
        self._resizers: list[GpuResizer] = []
        self._n_runs = 0
        trt = load_tensorrt(kind)
        require_version(trt, kind, build)
        require_a_gpu(kind)
        self._device = open_device(device)
        self._device.make_current()
        self._gpu = self._device.gpu()
        require_gpu(kind, build, self._gpu)
        self._logger = make_logger(trt)  # must outlive everything made with it
        self._engine = deserialize(trt, self._logger, plan_bytes, kind, build, self._gpu)
        require_declared(trt, self._engine, spec)
        self._context, self._captures_itself = create_context(trt, self._engine)
        if self._context is None:
            raise EngineMismatchError(f"{kind}: no execution context (GPU memory?): {self._logger.errors()}")
        try:
            self._stream = self._device.create_stream()
            self._events = StageEvents(self._device)
            self._allocate()
            self._warm_up(self._stream)
            if not self._captures_itself:
                self._graph = self._capture(self._stream)
        except EngineMismatchError:
            self.close()
            raise

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        """Return depth and confidence of one frame; the arrays are copies and belong to the caller.

        Raises:
            EngineMismatchError: the frame is not of the engine's shape, the backend is closed, or the GPU failed.
        """
        self._run(inputs, OUTPUT_NAMES)
        return self._outputs()

    def infer_raw(self, inputs: RawInputs) -> Inferred:
        """Return the same of pictures that are resized on the GPU, and the images that the network saw.

        Raises:
            DataError: a picture has not its camera's size.
            EngineMismatchError: as `infer`, or the resizer is closed or another engine's.
        """
        self._run(inputs, (*OUTPUT_NAMES, "images"))
        return Inferred(self._outputs(), self._buffers["images"].host.copy())

    def infer_on_device(self, inputs: NetworkInputs | RawInputs) -> DeviceOutputs:
        """Return the same without copying it to the host: tensors for DLPack, complete, valid until the next frame.

        Raises:
            DataError, EngineMismatchError: as `infer_raw`.
        """
        self._run(inputs, ())
        return DeviceOutputs(*(self._on_device(name) for name in (*OUTPUT_NAMES, "images")))

    def resizer(self, plans: ImagePlans) -> GpuResizer:
        """Return what resizes a rig's pictures on this engine's GPU, for `RawInputs`; it is closed with the engine.

        Raises:
            EngineMismatchError: the backend is closed, the plans are for another input, the kernel does not load, or
                memory is short.
            MissingDependencyError: the kernel has to be compiled and NVRTC is not installed.
        """
        self._opened()
        if plans.spec != self.spec.input:
            raise EngineMismatchError(
                f"the plans are for {plans.spec.height_px}x{plans.spec.width_px} and the engine for "
                f"{self.spec.input.height_px}x{self.spec.input.width_px}; plan the images with backend.spec.input"
            )
        self._device.make_current()
        resizer = GpuResizer(self._device, plans, self.spec.n_cameras)
        self._resizers = [*(earlier for earlier in self._resizers if not earlier.is_closed), resizer]
        return resizer

    @property
    def runs_as(self) -> str:
        """How the plan's kernels are launched, for reports."""
        if self._captures_itself:
            return "one CUDA graph, as far as the library captures it"
        return "kernel by kernel" if self._graph is None else "one CUDA graph"

    def last_times(self) -> DeviceTimes:
        """Return where the last frame's time went on the GPU. `upload_ms` of a raw frame holds its resize.

        Raises:
            EngineMismatchError: no frame has run, or the backend is closed.
        """
        _, events = self._opened()
        return events.times()

    def close(self) -> None:
        """Free resizers, graph, events, buffers, stream, context and engine; a second call does nothing."""
        for resizer in self._resizers:
            resizer.close()
        if self._graph is not None:
            self._device.destroy_graph(self._graph)
            self._graph = None
        if self._events is not None:
            self._events.close()
            self._events = None
        for buffer in self._buffers.values():
            buffer.close()
        self._buffers.clear()
        if self._stream is not None:
            self._device.destroy_stream(self._stream)
            self._stream = None
        self._context = None
        self._engine = None

    def _opened(self) -> tuple[int, StageEvents]:
        if self._stream is None or self._events is None:
            raise EngineMismatchError("this TensorRT backend is closed; open_backend again")
        return self._stream, self._events

    def _outputs(self) -> NetworkOutputs:
        return NetworkOutputs.from_feeds({name: self._buffers[name].host.copy() for name in OUTPUT_NAMES})

    def _run(self, inputs: NetworkInputs | RawInputs, fetched: Iterable[str]) -> None:
        """Run one frame to its end; the buffers named in `fetched` are then on the host too."""
        stream, events = self._opened()
        self._require_fit(inputs)
        self._device.make_current()
        self._n_runs += 1
        for name in INPUT_NAMES[1:]:
            np.copyto(self._buffers[name].host, getattr(inputs, name))
        if isinstance(inputs, NetworkInputs):
            np.copyto(self._buffers["images"].host, inputs.images)
        events.record(0, stream)
        if isinstance(inputs, NetworkInputs):
            self._buffers["images"].upload(stream)
        else:
            inputs.resizer.queue(inputs.pictures, self._buffers["images"], stream)
        for name in INPUT_NAMES[1:]:
            self._buffers[name].upload(stream)
        events.record(1, stream)
        if self._graph is not None:
            self._device.launch_graph(self._graph, stream)
        else:
            self._enqueue(stream)
        events.record(2, stream)
        for name in fetched:
            self._buffers[name].download(stream)
        events.record(3, stream)
        self._device.synchronize(stream)

    def _require_fit(self, inputs: NetworkInputs | RawInputs) -> None:
        if isinstance(inputs, NetworkInputs):
            inputs.require(self.spec)
        elif inputs.resizer not in self._resizers:
            raise EngineMismatchError("the resizer is another engine's: take backend.resizer(plans) of this one")

    def _on_device(self, name: str) -> DeviceTensor:
        buffer, run = self._buffers[name], self._n_runs
        return DeviceTensor(
            pointer=buffer.pointer,
            shape=buffer.host.shape,
            dtype=buffer.host.dtype,
            device=(DeviceType.CUDA, self._gpu.ordinal),
            is_current=lambda: self._n_runs == run and self._stream is not None,
        )

    def _allocate(self) -> None:
        """Addresses are set once: shapes are static, so a frame costs two copies and one enqueue."""
        for name, shape in (self.spec.input_shapes() | self.spec.output_shapes()).items():
            buffer = MirroredBuffer(self._device, shape, np.dtype(np.uint8 if name == "images" else np.float32))
            self._buffers[name] = buffer
            if not self._context.set_tensor_address(name, buffer.pointer):
                raise EngineMismatchError(f"the plan refuses the address of '{name}': {self._logger.errors()}")

    def _enqueue(self, stream: int) -> None:
        if not self._context.execute_async_v3(stream):
            raise EngineMismatchError(f"the plan did not run: {self._logger.errors()}")

    def _warm_up(self, stream: int) -> None:
        """The first run allocates, compiles and chooses; none of it may happen during a capture or in a frame."""
        self._enqueue(stream)
        self._device.synchronize(stream)

    def _capture(self, stream: int) -> Any:
        try:
            return self._device.capture(stream, lambda: self._enqueue(stream))
        except EngineMismatchError as error:
            _LOG.warning("the plan runs kernel by kernel, without a CUDA graph: %s", error)
            return None
