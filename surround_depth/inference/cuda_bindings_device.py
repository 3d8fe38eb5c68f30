"""The device layer on cuda-bindings, NVIDIA's own Python bindings. Owns the import of its runtime and driver."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.inference.device import KernelArgument
from surround_depth.inference.gpu import Gpu

_C_TYPES = {np.dtype(np.uint64): ctypes.c_uint64, np.dtype(np.int32): ctypes.c_int32}


def load_cuda_bindings() -> tuple[Any, Any]:
    """Return `cuda.bindings.runtime` and `cuda.bindings.driver`.

    Raises:
        MissingDependencyError: cuda-bindings is not installed.
    """
    try:
        from cuda.bindings import driver, runtime
    except ImportError as error:
        raise MissingDependencyError(
            "running a TensorRT plan needs the CUDA runtime bindings: pip install cuda-bindings"
        ) from error
    return runtime, driver


@dataclass(frozen=True)
class _Kernel:
    module: Any
    function: Any


class CudaBindingsDevice:
    """Works in the primary context of the device that is current where it is made."""

    def __init__(self, runtime: Any, driver: Any) -> None:
        self._runtime = runtime
        self._driver = driver
        self._ordinal = int(self._call("cudaGetDevice"))

    def gpu(self) -> Gpu:
        properties = self._call("cudaGetDeviceProperties", self._ordinal)
        name = properties.name.split(b"\0")[0].decode()
        return Gpu(name, (int(properties.major), int(properties.minor)), self._ordinal)

    def make_current(self) -> None:
        """Every thread starts with the first device, and the driver, which runs kernels, with none at all."""
        self._call("cudaSetDevice", self._ordinal)

    def create_stream(self) -> int:
        return int(self._call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking))

    def synchronize(self, stream: int) -> None:
        self._call("cudaStreamSynchronize", stream)

    def destroy_stream(self, stream: int) -> None:
        self._call("cudaStreamDestroy", stream)

    def allocate(self, n_bytes: int) -> int:
        return int(self._call("cudaMalloc", n_bytes))

    def free(self, pointer: int) -> None:
        self._call("cudaFree", pointer)

    def allocate_pinned(self, n_bytes: int) -> NDArray[np.uint8]:
        pointer = int(self._call("cudaMallocHost", n_bytes))
        return np.ctypeslib.as_array((ctypes.c_uint8 * n_bytes).from_address(pointer))

    def free_pinned(self, host: NDArray[np.uint8]) -> None:
        self._call("cudaFreeHost", host.ctypes.data)

    def upload(self, pointer: int, host: NDArray[np.uint8], stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", pointer, host.ctypes.data, host.nbytes, kind, stream)

    def download(self, host: NDArray[np.uint8], pointer: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host.ctypes.data, pointer, host.nbytes, kind, stream)

    def create_event(self) -> Any:
        return self._call("cudaEventCreate")

    def record(self, event: Any, stream: int) -> None:
        self._call("cudaEventRecord", event, stream)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        return float(self._call("cudaEventElapsedTime", start, end))

    def destroy_event(self, event: Any) -> None:
        self._call("cudaEventDestroy", event)

    def capture(self, stream: int, enqueue: Callable[[], None]) -> Any:
        # thread-local: what other threads of the process allocate meanwhile does not spoil the capture
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        try:
            enqueue()
        except EngineMismatchError:
            self._abandon_capture(stream)
            raise
        try:
            graph = self._call("cudaStreamEndCapture", stream)
            try:
                return self._call("cudaGraphInstantiate", graph, 0)
            finally:
                self._call("cudaGraphDestroy", graph)
        except EngineMismatchError:
            # TensorRT asks for the last error after an enqueue: this one is not its own
            self._runtime.cudaGetLastError()
            raise

    def launch_graph(self, graph: Any, stream: int) -> None:
        self._call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: Any) -> None:
        self._call("cudaGraphExecDestroy", graph)

    def load_kernel(self, cubin: bytes, name: str) -> _Kernel:
        module = self._drive("cuModuleLoadData", cubin)
        try:
            return _Kernel(module, self._drive("cuModuleGetFunction", module, name.encode()))
        except EngineMismatchError:
            self._drive("cuModuleUnload", module)
            raise

    def launch_kernel(
        self,
        kernel: _Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[KernelArgument],
        stream: int,
    ) -> None:
        values = tuple(map(int, arguments)), tuple(_C_TYPES[argument.dtype] for argument in arguments)
        self._drive("cuLaunchKernel", kernel.function, *grid, *block, 0, stream, values, 0)

    def unload_kernel(self, kernel: _Kernel) -> None:
        self._drive("cuModuleUnload", kernel.module)

    def _abandon_capture(self, stream: int) -> None:
        """Leave the capture; what was caught, and why ending it fails, is of no use."""
        _, *graph = self._runtime.cudaStreamEndCapture(stream)
        if graph and graph[0]:
            self._runtime.cudaGraphDestroy(graph[0])
        self._runtime.cudaGetLastError()

    def _call(self, call: str, *arguments: Any) -> Any:
        """Call a function of the runtime and return its value."""
        status, *values = getattr(self._runtime, call)(*arguments)
        if status != self._runtime.cudaError_t.cudaSuccess:
            _, text = self._runtime.cudaGetErrorString(status)
            raise _failure(call, text)
        return values[0] if values else None

    def _drive(self, call: str, *arguments: Any) -> Any:
        """Call a function of the driver and return its value."""
        status, *values = getattr(self._driver, call)(*arguments)
        if status != self._driver.CUresult.CUDA_SUCCESS:
            _, text = self._driver.cuGetErrorString(status)
            raise _failure(call, text)
        return values[0] if values else None


def _failure(call: str, text: bytes | str) -> EngineMismatchError:
    return EngineMismatchError(f"{call} failed: {text.decode() if isinstance(text, bytes) else text}")
