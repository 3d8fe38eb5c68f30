"""A student in torch as an engine would run it: static tensors, pinned staging, a stream of its own, timed stages."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from surround_depth.closing import Closing
from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.inference.latency import DeviceTimes
from surround_depth.models.half import HalfStudent
from surround_depth.models.student import MetricStudent, Student

TorchMode = Literal["eager fp32", "eager bf16", "eager fp16", "graph fp32", "graph fp16", "compile fp16"]
"""bf16 is autocast; fp16 is `HalfStudent`. graph: one CUDA graph. compile: Inductor's kernels in one CUDA graph."""
TORCH_MODES: tuple[TorchMode, ...] = get_args(TorchMode)

_Compute = Callable[[], tuple[Tensor, Tensor]]
_WARM_UP_RUNS = 3  # cuDNN chooses, Triton compiles and the allocator grows before anything is captured


class TorchRunner(Closing):
    """Runs a copy of a student on one device, one frame at a time.

    Args:
        student: it is not changed.
        device: "cuda:0"; on "cpu" only the eager modes run.
        mode: precision and how its kernels are launched.

    Raises:
        EngineMismatchError: a CUDA graph is asked of a device that has none.
    """

    def __init__(self, student: Student, spec: EngineSpec, device: torch.device, mode: TorchMode) -> None:
        if device.type != "cuda" and not mode.startswith("eager"):
            raise EngineMismatchError(f"torch {mode}: a CUDA graph needs a CUDA device, this one is '{device}'")
        self.spec = spec
        self.runs_as = "kernel by kernel" if mode.startswith("eager") else "one CUDA graph"
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._marks: _Marks = _CudaMarks() if device.type == "cuda" else _HostMarks()
        self._staged = _empty(spec.input_shapes(), pinned=device.type == "cuda")
        self._inputs = [tensor.to(device) for tensor in self._staged]
        self._outputs = _empty(spec.output_shapes(), pinned=device.type == "cuda")
        with torch.no_grad(), self._on_stream():
            module = _network(student, mode).to(device)
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
            self._compute: _Compute | None = _prepared(module, self._inputs, mode)

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        """Return depth and confidence of one frame, as copies.

        Raises:
            EngineMismatchError: the frame is not of the runner's shape, or the runner is closed.
        """
        if self._compute is None:
            raise EngineMismatchError("this torch runner is closed")
        inputs.require(self.spec)
        for staged, array in zip(self._staged, inputs.as_feeds().values(), strict=True):
            staged.copy_(torch.from_numpy(array))
        with torch.no_grad(), self._on_stream():
            self._marks.record(0)
            for target, staged in zip(self._inputs, self._staged, strict=True):
                target.copy_(staged, non_blocking=True)
            self._marks.record(1)
            results = self._compute()
            self._marks.record(2)
            for host, result in zip(self._outputs, results, strict=True):
                host.copy_(result, non_blocking=True)
            self._marks.record(3)
        if self._stream is not None:
            self._stream.synchronize()
        return NetworkOutputs(*(host.numpy().copy() for host in self._outputs))

    def last_times(self) -> DeviceTimes:
        """Return where the last frame's time went."""
        return self._marks.times()

    def close(self) -> None:
        """Let go of the network and its memory on the device."""
        self._compute = None
        self._inputs = []

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def _network(student: Student, mode: TorchMode) -> nn.Module:
    """Return a fresh student of the mode's precision, unbatched."""
    if mode.endswith("fp16"):
        return MetricStudent(HalfStudent(student))
    copy = Student(student.config)
    copy.load_state_dict(student.state_dict())
    return _Bfloat16(copy) if mode.endswith("bf16") else MetricStudent(copy)


class _Bfloat16(MetricStudent):
    def forward(self, images: Tensor, rays: Tensor, T_ego_cam: Tensor, camera_valid: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(images.device.type, torch.bfloat16):
            return super().forward(images, rays, T_ego_cam, camera_valid)


def _prepared(module: nn.Module, inputs: list[Tensor], mode: TorchMode) -> _Compute:
    """Return the computation on the static inputs, ready to be timed."""
    call: Callable[..., tuple[Tensor, Tensor]] = module
    if mode.startswith("compile"):
        # traced first: the casts of HalfStudent come from a function mode, and are then plain operators in the graph
        call = torch.compile(make_fx(module)(*inputs))
    for _ in range(_WARM_UP_RUNS):
        call(*inputs)
    return (lambda: call(*inputs)) if mode.startswith("eager") else _captured(call, inputs)


def _captured(call: Callable[..., tuple[Tensor, Tensor]], inputs: list[Tensor]) -> _Compute:
    """Return the replay of one CUDA graph, whose outputs stay where they are."""
    torch.cuda.current_stream().synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
        outputs = call(*inputs)

    def replay() -> tuple[Tensor, Tensor]:
        graph.replay()
        return outputs

    return replay


def _empty(shapes: dict[str, tuple[int, ...]], *, pinned: bool) -> list[Tensor]:
    """Return host tensors of the engine's types."""
    dtypes = {name: torch.uint8 if name == "images" else torch.float32 for name in shapes}
    return [torch.zeros(shape, dtype=dtypes[name], pin_memory=pinned) for name, shape in shapes.items()]


class _Marks(Protocol):
    """Four points in time: before the uploads, before and after the network, after the downloads."""

    def record(self, index: int) -> None: ...

    def times(self) -> DeviceTimes: ...


class _CudaMarks:
    """By events on the current stream; read after it has been synchronised."""

    def __init__(self) -> None:
        self._events = [torch.cuda.Event(enable_timing=True) for _ in range(4)]

    def record(self, index: int) -> None:
        self._events[index].record()

    def times(self) -> DeviceTimes:
        return DeviceTimes(*(start.elapsed_time(end) for start, end in pairwise(self._events)))


class _HostMarks:
    """By the host's clock, for a device that works while it is called."""

    def __init__(self) -> None:
        self._seconds = [0.0] * 4

    def record(self, index: int) -> None:
        self._seconds[index] = time.perf_counter()

    def times(self) -> DeviceTimes:
        return DeviceTimes(*(1e3 * (end - start) for start, end in pairwise(self._seconds)))
