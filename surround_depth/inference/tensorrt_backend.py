"""Runs a TensorRT or TensorRT-RTX plan on a GPU: pinned buffers, a stream of its own, one CUDA graph, two copies.

The graph: TensorRT-RTX captures by itself where its runtime configuration offers it; elsewhere the plan is captured
here, after one warm-up. Where it cannot be captured it runs kernel by kernel, and a log line says so.

Honest note: every CUDA and TensorRT name used here is held against the real libraries by the tests, and the control
flow against a recording double of them; no GPU has run it yet. GPU pre-processing comes later.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from surround_depth.closing import Closing
from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import INPUT_NAMES, OUTPUT_NAMES, EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.inference.cuda_graph import CapturedGraph, StageEvents
from surround_depth.inference.cuda_memory import MirroredBuffer, Stream, load_cudart
from surround_depth.inference.latency import DeviceTimes
from surround_depth.inference.manifest import TensorRTRecord
from surround_depth.inference.tensorrt_library import (
    TensorRTKind,
    cuda_device_count,
    gpu_name,
    load_tensorrt,
    make_logger,
)

_LOG = logging.getLogger(__name__)
_REBUILD = "rebuild on this machine with python deploy/build_engine.py --engine {kind}"


class TensorRTBackend(Closing):
    """An opened plan.

    Args:
        plan_bytes: the plan, already verified against its manifest.
        spec: what the manifest promises; the plan's own tensors must agree.
        kind: which library built it.
        build: the version and GPU of the build; another version or GPU is refused before deserialising.

    Raises:
        EngineMismatchError: no GPU, another version or GPU, a plan that does not deserialise or run, other tensors.
        MissingDependencyError: the library or cuda-bindings is not installed.
    """

    def __init__(
        self, plan_bytes: bytes, spec: EngineSpec, *, kind: TensorRTKind, build: TensorRTRecord | None
    ) -> None:
        self.spec = spec
        self._stream: Stream | None = None
        self._buffers: dict[str, MirroredBuffer] = {}
        self._events: StageEvents | None = None
        self._graph: CapturedGraph | None = None
        trt = load_tensorrt(kind)
        _require_version(trt, kind, build)
        if cuda_device_count() == 0:
            raise EngineMismatchError(
                f"a {kind} plan runs on an NVIDIA GPU and the driver offers none here; "
                "for a CPU rebuild with python deploy/build_engine.py --engine onnxruntime"
            )
        _require_gpu(kind, build)
        cudart = load_cudart()
        self._logger = make_logger(trt)  # must outlive everything made with it
        self._engine = _deserialize(trt, self._logger, plan_bytes, kind)
        _require_declared(trt, self._engine, spec)
        self._context, self._captures_itself = _create_context(trt, self._engine)
        if self._context is None:
            raise EngineMismatchError(f"{kind}: no execution context (GPU memory?): {self._logger.errors()}")
        try:
            self._stream = Stream(cudart)
            self._events = StageEvents(cudart)
            self._allocate(cudart)
            self._warm_up(self._stream)
            if not self._captures_itself:
                self._graph = self._capture(cudart, self._stream)
        except EngineMismatchError:
            self.close()
            raise

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        """Return depth and confidence of one frame; the arrays are copies and belong to the caller.

        Raises:
            EngineMismatchError: the frame is not of the engine's shape, the backend is closed, or the GPU failed.
        """
        if self._stream is None or self._events is None:
            raise EngineMismatchError("this TensorRT backend is closed; open_backend again")
        inputs.require(self.spec)
        stream, events = self._stream, self._events
        for name in INPUT_NAMES:
            np.copyto(self._buffers[name].host, getattr(inputs, name))
        events.record(0, stream)
        for name in INPUT_NAMES:
            self._buffers[name].upload(stream)
        events.record(1, stream)
        if self._graph is not None:
            self._graph.launch(stream)
        else:
            self._enqueue(stream)
        events.record(2, stream)
        for name in OUTPUT_NAMES:
            self._buffers[name].download(stream)
        events.record(3, stream)
        stream.synchronize()
        return NetworkOutputs.from_feeds({name: self._buffers[name].host.copy() for name in OUTPUT_NAMES})

    @property
    def runs_as(self) -> str:
        """How the plan's kernels are launched, for reports."""
        if self._captures_itself:
            return "one CUDA graph, as far as the library captures it"
        return "kernel by kernel" if self._graph is None else "one CUDA graph"

    def last_times(self) -> DeviceTimes:
        """Return where the last frame's time went on the GPU.

        Raises:
            EngineMismatchError: no frame has run, or the backend is closed.
        """
        if self._events is None:
            raise EngineMismatchError("this TensorRT backend is closed; open_backend again")
        return self._events.times()

    def close(self) -> None:
        """Free graph, events, buffers, stream, context and engine; a second call does nothing."""
        if self._graph is not None:
            self._graph.close()
            self._graph = None
        if self._events is not None:
            self._events.close()
            self._events = None
        for buffer in self._buffers.values():
            buffer.close()
        self._buffers.clear()
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._context = None
        self._engine = None

    def _allocate(self, cudart: Any) -> None:
        """Addresses are set once: shapes are static, so a frame costs two copies and one enqueue."""
        for name, shape in (self.spec.input_shapes() | self.spec.output_shapes()).items():
            buffer = MirroredBuffer(cudart, shape, np.dtype(np.uint8 if name == "images" else np.float32))
            self._buffers[name] = buffer
            if not self._context.set_tensor_address(name, buffer.device_pointer):
                raise EngineMismatchError(f"the plan refuses the address of '{name}': {self._logger.errors()}")

    def _enqueue(self, stream: Stream) -> None:
        if not self._context.execute_async_v3(stream.handle):
            raise EngineMismatchError(f"the plan did not run: {self._logger.errors()}")

    def _warm_up(self, stream: Stream) -> None:
        """The first run allocates, compiles and chooses; none of it may happen during a capture or in a frame."""
        self._enqueue(stream)
        stream.synchronize()

    def _capture(self, cudart: Any, stream: Stream) -> CapturedGraph | None:
        try:
            return CapturedGraph(cudart, stream, lambda: self._enqueue(stream))
        except EngineMismatchError as error:
            _LOG.warning("the plan runs kernel by kernel, without a CUDA graph: %s", error)
            return None


def _create_context(trt: Any, engine: Any) -> tuple[Any, bool]:
    """Return the execution context, and whether the library captures the CUDA graph by itself."""
    if not hasattr(trt, "CudaGraphStrategy"):
        return engine.create_execution_context(), False
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    return engine.create_execution_context(config), True


def _require_version(trt: Any, kind: TensorRTKind, build: TensorRTRecord | None) -> None:
    if build is None or build.version != trt.__version__:
        built = build.version if build else "an unknown version"
        raise EngineMismatchError(
            f"the plan was built by {kind} {built}, this host has {trt.__version__}; {_REBUILD.format(kind=kind)}"
        )


def _require_gpu(kind: TensorRTKind, build: TensorRTRecord | None) -> None:
    """A plan built ahead of time (gpu_name None) is finished for the GPU that loads it; others are bound to theirs."""
    if build is None or build.gpu_name is None:
        return
    here = gpu_name()
    if here != build.gpu_name:
        raise EngineMismatchError(
            f"the plan was built for '{build.gpu_name}', this GPU is '{here}'; {_REBUILD.format(kind=kind)}"
        )


def _deserialize(trt: Any, logger: Any, plan_bytes: bytes, kind: TensorRTKind) -> Any:
    """`engine_host_code_allowed` stays False: a plan may carry GPU code, never a lean runtime of its own."""
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(plan_bytes)
    if engine is None:
        said = f"{_validity(runtime, plan_bytes)}{logger.errors()}"
        raise EngineMismatchError(f"{kind} refuses the plan: {said}; {_REBUILD.format(kind=kind)}")
    return engine


def _validity(runtime: Any, plan_bytes: bytes) -> str:
    """Ask a library that can say whether it finds a plan valid for this GPU; it is no proof against tampering."""
    if not hasattr(runtime, "get_engine_validity"):
        return ""
    validity, diagnostics = runtime.get_engine_validity(plan_bytes)
    return f"validity {validity}, diagnostics {diagnostics}; "


def _require_declared(trt: Any, engine: Any, spec: EngineSpec) -> None:
    expected = spec.input_shapes() | spec.output_shapes()
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    if set(names) != set(expected):
        raise EngineMismatchError(f"the plan's tensors are {sorted(names)}, expected {sorted(expected)}")
    for name, shape in expected.items():
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        wanted = np.dtype(np.uint8 if name == "images" else np.float32)
        if tuple(engine.get_tensor_shape(name)) != shape or dtype != wanted:
            raise EngineMismatchError(
                f"the plan's '{name}' is {dtype} {list(engine.get_tensor_shape(name))}, "
                f"the manifest promises {wanted} {list(shape)}"
            )
