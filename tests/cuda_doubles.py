"""Doubles of `cuda.bindings` and of `pycuda.driver` on host memory: one machine, seen through either package.

They move real bytes between real addresses and check every argument, so a swapped pointer, a missing copy, a wrong size
or direction shows; kernels really run, compiled for the CPU (tests/host_kernel.py). What they cannot show is a GPU.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from host_kernel import fake_cubin, launch

from surround_depth.inference.cuda_bindings_device import CudaBindingsDevice
from surround_depth.inference.device import Device, DeviceKind
from surround_depth.inference.gpu import Gpu
from surround_depth.inference.gpu_resize import kernel_source
from surround_depth.inference.pycuda_device import PycudaDevice

STREAM = 77
GPU = Gpu("Double GPU", (8, 7), 1)
COPY_MS = 0.5


class DoubleMachine:
    """A GPU that is host memory: what lives on it, what was called, and a clock that only copies and plans move."""

    def __init__(self, kind: DeviceKind, fail: str = "") -> None:
        self.kind = kind
        self.fail = fail
        self.alive: dict[int, tuple[str, Any]] = {}  # "device", "pinned", "stream", "event", "graph" or "module"
        self.calls: list[str] = []
        self.captured: list[Callable[[], None]] | None = None  # while a capture is open: the work it has caught
        self.clock_ms = 0.0
        self.context: object | None = object()  # pycuda's, in every thread
        self.threads: set[int] = set()  # in which cuda-bindings' context was made current

    def open_device(self) -> Device:
        if self.kind == "pycuda":
            return PycudaDevice(DoublePycuda(self))
        return CudaBindingsDevice(DoubleRuntime(self), DoubleDriver(self))

    def submit(self, work: Callable[[], None]) -> None:
        """What a stream does with work: run it, or, while a capture is open, catch it without running it."""
        if self.captured is None:
            work()
        else:
            self.captured.append(work)

    def keep(self, what: str, thing: Any) -> int:
        handle = 1000 + len(self.calls)  # grows with every call, and is no address of a buffer
        self.alive[handle] = what, thing
        return handle

    def reserve(self, what: str, n_bytes: int) -> int:
        assert n_bytes > 0
        memory = (ctypes.c_uint8 * n_bytes)()
        self.alive[ctypes.addressof(memory)] = what, memory
        return ctypes.addressof(memory)

    def give_back(self, what: str, handle: int) -> None:
        assert self.alive.pop(handle)[0] == what

    def get(self, what: str, handle: int) -> Any:
        kind, thing = self.alive[handle]
        assert kind == what
        return thing

    def copy(self, target: tuple[str, int], source: tuple[str, int], n_bytes: int) -> None:
        assert n_bytes == len(self.get(*target)) == len(self.get(*source))
        ctypes.memmove(target[1], source[1], n_bytes)
        self.clock_ms += COPY_MS

    def run_kernel(self, grid: tuple[int, ...], block: tuple[int, ...], values: tuple[Any, ...]) -> None:
        assert [type(value) for value in values] == [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int32, ctypes.c_int32]
        launch(grid, block, list(values))


class DoubleRuntime:
    """`cuda.bindings.runtime`: every call returns (status, values...), as the real one does."""

    cudaStreamNonBlocking = 1
    cudaError_t = SimpleNamespace(cudaSuccess=0)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, machine: DoubleMachine) -> None:
        self.machine = machine

    def __getattr__(self, call: str) -> Any:
        def run(*arguments: Any) -> tuple[Any, ...]:
            self.machine.calls.append(call)
            return (2,) if call == self.machine.fail else (0, *getattr(self, f"_{call}")(*arguments))

        if call.startswith("cu") and hasattr(type(self), f"_{call}"):
            return run
        raise AttributeError(call)

    def cudaGetErrorString(self, status: int) -> tuple[int, bytes]:
        assert status == 2
        return 0, b"out of memory"

    def cudaGetLastError(self) -> tuple[int]:
        self.machine.calls.append("cudaGetLastError")
        return (0,)

    def _cudaGetDevice(self) -> tuple[int]:
        return (GPU.ordinal,)

    def _cudaSetDevice(self, ordinal: int) -> tuple[()]:
        assert ordinal == GPU.ordinal
        self.machine.threads.add(threading.get_ident())
        return ()

    def _cudaGetDeviceProperties(self, ordinal: int) -> tuple[Any]:
        assert ordinal == GPU.ordinal
        major, minor = GPU.compute_capability
        return (SimpleNamespace(name=GPU.name.encode().ljust(256, b"\0"), major=major, minor=minor),)

    def _cudaStreamCreateWithFlags(self, flags: int) -> tuple[int]:
        assert flags == self.cudaStreamNonBlocking
        self.machine.alive[STREAM] = "stream", None
        return (STREAM,)

    def _cudaStreamSynchronize(self, stream: int) -> tuple[()]:
        self.machine.get("stream", stream)
        return ()

    def _cudaStreamDestroy(self, stream: int) -> tuple[()]:
        self.machine.give_back("stream", stream)
        return ()

    def _cudaMalloc(self, n_bytes: int) -> tuple[int]:
        return (self.machine.reserve("device", n_bytes),)

    def _cudaMallocHost(self, n_bytes: int) -> tuple[int]:
        return (self.machine.reserve("pinned", n_bytes),)

    def _cudaFree(self, pointer: int) -> tuple[()]:
        self.machine.give_back("device", pointer)
        return ()

    def _cudaFreeHost(self, pointer: int) -> tuple[()]:
        self.machine.give_back("pinned", pointer)
        return ()

    def _cudaMemcpyAsync(self, target: int, source: int, n_bytes: int, kind: int, stream: int) -> tuple[()]:
        self.machine.get("stream", stream)
        ends = ("device", "pinned") if kind == self.cudaMemcpyKind.cudaMemcpyHostToDevice else ("pinned", "device")
        self.machine.copy((ends[0], target), (ends[1], source), n_bytes)
        return ()

    def _cudaEventCreate(self) -> tuple[int]:
        return (self.machine.keep("event", []),)

    def _cudaEventRecord(self, event: int, stream: int) -> tuple[()]:
        self.machine.get("stream", stream)
        self.machine.get("event", event)[:] = [self.machine.clock_ms]
        return ()

    def _cudaEventElapsedTime(self, start: int, end: int) -> tuple[float]:
        return (self.machine.get("event", end)[0] - self.machine.get("event", start)[0],)

    def _cudaEventDestroy(self, event: int) -> tuple[()]:
        self.machine.give_back("event", event)
        return ()

    def _cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[()]:
        assert (stream, mode, self.machine.captured) == (STREAM, 1, None)
        self.machine.captured = []
        return ()

    def _cudaStreamEndCapture(self, stream: int) -> tuple[Any]:
        assert stream == STREAM
        assert self.machine.captured is not None
        graph, self.machine.captured = tuple(self.machine.captured), None
        return (graph,)

    def _cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[int]:
        assert flags == 0
        return (self.machine.keep("graph", graph),)

    def _cudaGraphDestroy(self, graph: Any) -> tuple[()]:
        assert isinstance(graph, tuple)
        return ()

    def _cudaGraphLaunch(self, graph: int, stream: int) -> tuple[()]:
        assert stream == STREAM
        for work in self.machine.get("graph", graph):
            work()
        return ()

    def _cudaGraphExecDestroy(self, graph: int) -> tuple[()]:
        self.machine.give_back("graph", graph)
        return ()


class DoubleDriver(DoubleRuntime):
    """`cuda.bindings.driver`, as far as kernels go."""

    CUresult = SimpleNamespace(CUDA_SUCCESS=0)

    def require_context(self) -> None:
        """Unlike the runtime, the driver wants a context that somebody made current in this thread."""
        assert threading.get_ident() in self.machine.threads

    def cuGetErrorString(self, status: int) -> tuple[int, bytes]:
        assert status == 2
        return 0, b"out of memory"

    def _cuModuleLoadData(self, cubin: bytes) -> tuple[int]:
        self.require_context()
        assert cubin == fake_cubin(kernel_source(), "sm_87")
        return (self.machine.keep("module", cubin),)

    def _cuModuleGetFunction(self, module: int, name: bytes) -> tuple[str]:
        self.machine.get("module", module)
        assert name == b"prepare_images"
        return ("function",)

    def _cuLaunchKernel(self, function: str, *arguments: Any) -> tuple[()]:
        *shape, shared_bytes, stream, (values, types), extra = arguments
        assert (function, shared_bytes, stream, extra) == ("function", 0, STREAM, 0)
        grid, block = tuple(shape[:3]), tuple(shape[3:])
        self.require_context()
        self.machine.run_kernel(grid, block, tuple(c_type(v) for c_type, v in zip(types, values, strict=True)))
        return ()

    def _cuModuleUnload(self, module: int) -> tuple[()]:
        self.require_context()
        self.machine.give_back("module", module)
        return ()


class DoublePycuda:
    """`pycuda.driver`: things free themselves when nobody holds them, and failures are its own exceptions."""

    class Error(Exception):
        """pycuda's base of MemoryError, LogicError, LaunchError and RuntimeError."""

    def __init__(self, machine: DoubleMachine) -> None:
        self.machine = machine
        self.Context = SimpleNamespace(
            get_current=lambda: machine.context, get_device=lambda: _PycudaDevice(GPU.ordinal)
        )
        self.Device = _PycudaDevice

    def called(self, call: str) -> None:
        self.machine.calls.append(call)
        if call == self.machine.fail:
            raise self.Error(f"{call} failed: out of memory")

    def Stream(self, flags: int = 0) -> _PycudaStream:
        assert flags == 1  # CU_STREAM_NON_BLOCKING
        self.called("Stream")
        return _PycudaStream(self)

    def Event(self) -> _PycudaEvent:
        self.called("Event")
        return _PycudaEvent(self)

    def mem_alloc(self, n_bytes: int) -> _PycudaMemory:
        self.called("mem_alloc")
        return _PycudaMemory(self.machine, "device", n_bytes)

    def pagelocked_empty(self, shape: int, dtype: type[np.uint8]) -> np.ndarray:
        assert dtype is np.uint8
        self.called("pagelocked_empty")
        return np.asarray(_PycudaMemory(self.machine, "pinned", shape))

    def memcpy_htod_async(self, target: int, source: np.ndarray, stream: _PycudaStream) -> None:
        assert isinstance(stream, _PycudaStream)
        assert isinstance(source.base, _PycudaMemory)
        self.called("memcpy_htod_async")
        self.machine.copy(("device", target), ("pinned", source.ctypes.data), source.nbytes)

    def memcpy_dtoh_async(self, target: np.ndarray, source: int, stream: _PycudaStream) -> None:
        assert isinstance(stream, _PycudaStream)
        assert isinstance(target.base, _PycudaMemory)
        self.called("memcpy_dtoh_async")
        self.machine.copy(("pinned", target.ctypes.data), ("device", source), target.nbytes)

    def module_from_buffer(self, cubin: bytes) -> Any:
        self.called("module_from_buffer")
        assert cubin == fake_cubin(kernel_source(), "sm_87")
        return SimpleNamespace(get_function=lambda name: {"prepare_images": _PycudaFunction(self)}[name])


class _PycudaDevice:
    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal

    @staticmethod
    def count() -> int:
        return 3

    def name(self) -> str:
        return GPU.name

    def compute_capability(self) -> tuple[int, int]:
        return GPU.compute_capability

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _PycudaDevice) and self.ordinal == other.ordinal

    def __hash__(self) -> int:
        return self.ordinal


class _PycudaStream:
    handle = STREAM

    def __init__(self, driver: DoublePycuda) -> None:
        self._driver = driver
        driver.machine.alive[STREAM] = "stream", None

    def synchronize(self) -> None:
        self._driver.called("Stream.synchronize")

    def __del__(self) -> None:
        self._driver.machine.give_back("stream", STREAM)


class _PycudaEvent:
    def __init__(self, driver: DoublePycuda) -> None:
        self._driver = driver
        self._handle = driver.machine.keep("event", [])

    def record(self, stream: _PycudaStream) -> None:
        assert isinstance(stream, _PycudaStream)
        self._driver.called("Event.record")
        self._at_ms = self._driver.machine.clock_ms

    def time_since(self, start: _PycudaEvent) -> float:
        self._driver.called("Event.time_since")
        return self._at_ms - start._at_ms

    def __del__(self) -> None:
        self._driver.machine.give_back("event", self._handle)


class _PycudaMemory:
    """DeviceAllocation and PagelockedHostAllocation."""

    def __init__(self, machine: DoubleMachine, what: str, n_bytes: int) -> None:
        self._machine, self._what, self._n_bytes = machine, what, n_bytes
        self._address: int | None = machine.reserve(what, n_bytes)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        assert self._what == "pinned"
        return {"version": 3, "shape": (self._n_bytes,), "typestr": "|u1", "data": (self._address, False)}

    def __int__(self) -> int:
        assert self._what == "device"
        assert self._address is not None
        return self._address

    def free(self) -> None:
        assert self._address is not None, "freed twice"
        self._machine.give_back(self._what, self._address)
        self._address = None

    def __del__(self) -> None:
        if self._address is not None:
            self.free()


class _PycudaFunction:
    def __init__(self, driver: DoublePycuda) -> None:
        self._driver = driver
        self._handle = driver.machine.keep("module", None)

    def __call__(self, *arguments: Any, grid: tuple[int, ...], block: tuple[int, ...], stream: _PycudaStream) -> None:
        assert isinstance(stream, _PycudaStream)
        self._driver.called("Function.__call__")
        # pycuda packs a numpy number by its own type and refuses a Python int
        c_types = {np.uint64: ctypes.c_uint64, np.int32: ctypes.c_int32}
        self._driver.machine.run_kernel(grid, block, tuple(c_types[type(a)](int(a)) for a in arguments))

    def __del__(self) -> None:
        self._driver.machine.give_back("module", self._handle)
