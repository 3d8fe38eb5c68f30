"""The device layer: a stream of our own, and buffers that exist once on the host (pinned) and once on the GPU.

Owns the `cuda.bindings` import. Every call's status is checked; a failure names the call.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from surround_depth.errors import EngineMismatchError, MissingDependencyError


def load_cudart() -> Any:
    """Return `cuda.bindings.runtime`.

    Raises:
        MissingDependencyError: cuda-bindings is not installed.
    """
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise MissingDependencyError(
            "running a TensorRT plan needs the CUDA runtime bindings: pip install cuda-bindings"
        ) from error
    return runtime


def check(cudart: Any, call: str, *arguments: Any) -> Any:
    """Call `cudart.<call>(*arguments)` and return its value.

    Raises:
        EngineMismatchError: the call did not succeed; CUDA's own words follow its name.
    """
    status, *values = getattr(cudart, call)(*arguments)
    if status != cudart.cudaError_t.cudaSuccess:
        _, text = cudart.cudaGetErrorString(status)
        raise EngineMismatchError(f"{call} failed: {text.decode() if isinstance(text, bytes) else text}")
    return values[0] if values else None


class Stream:
    """A CUDA stream that does not wait for the default stream (which would add a device synchronise per frame)."""

    def __init__(self, cudart: Any) -> None:
        self._cudart = cudart
        self._stream = check(cudart, "cudaStreamCreateWithFlags", cudart.cudaStreamNonBlocking)
        self.handle = int(self._stream)

    def synchronize(self) -> None:
        """Wait until the stream has done all that was asked of it."""
        check(self._cudart, "cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """Destroy the stream; once."""
        if self._stream is not None:
            check(self._cudart, "cudaStreamDestroy", self._stream)
            self._stream = None


class MirroredBuffer:
    """One tensor in pinned host memory (`.host`, a numpy view) and in device memory (`.device_pointer`)."""

    def __init__(self, cudart: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._cudart = cudart
        self.n_bytes = int(np.prod(shape)) * dtype.itemsize
        self._host_pointer: int | None = None
        self.device_pointer: int | None = None
        try:
            self._host_pointer = int(check(cudart, "cudaMallocHost", self.n_bytes))
            self.device_pointer = int(check(cudart, "cudaMalloc", self.n_bytes))
        except EngineMismatchError:
            self.close()
            raise
        raw = (ctypes.c_uint8 * self.n_bytes).from_address(self._host_pointer)
        self.host = np.ctypeslib.as_array(raw).view(dtype).reshape(shape)

    def upload(self, stream: Stream) -> None:
        """Queue the copy host to device."""
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        pointers = (self.device_pointer, self._host_pointer)
        check(self._cudart, "cudaMemcpyAsync", *pointers, self.n_bytes, kind, stream.handle)

    def download(self, stream: Stream) -> None:
        """Queue the copy device to host; read `.host` after `stream.synchronize()`."""
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        pointers = (self._host_pointer, self.device_pointer)
        check(self._cudart, "cudaMemcpyAsync", *pointers, self.n_bytes, kind, stream.handle)

    def close(self) -> None:
        """Free both copies; `.host` must not be used afterwards."""
        if self.device_pointer is not None:
            check(self._cudart, "cudaFree", self.device_pointer)
            self.device_pointer = None
        if self._host_pointer is not None:
            check(self._cudart, "cudaFreeHost", self._host_pointer)
            self._host_pointer = None
