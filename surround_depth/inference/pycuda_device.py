"""The device layer on pycuda, for a host that owns a pycuda context already. Owns that import.

It works in the context that is current and makes none. pycuda frees a thing when nobody holds it, so the streams and
memories whose addresses went out are held here. It offers no CUDA graphs: a plan then runs kernel by kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.inference.device import KernelArgument
from surround_depth.inference.gpu import Gpu

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING of cuda.h; pycuda has no name for it


def load_pycuda() -> Any:
    """Return `pycuda.driver`.

    Raises:
        MissingDependencyError: pycuda is not installed, or finds no CUDA driver.
    """
    try:
        from pycuda import driver
    except ImportError as error:
        raise MissingDependencyError(
            f"device 'pycuda': the package does not load ({error}); it is built from source beside a CUDA toolkit: "
            "pip install pycuda (or open the engine with device='cuda-bindings')"
        ) from error
    return driver


class PycudaDevice:
    """Works in the pycuda context that is current where it is made; the host keeps it current in every thread.

    Raises:
        EngineMismatchError: no pycuda context is current in this thread.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._streams: dict[int, Any] = {}
        self._memories: dict[int, Any] = {}
        self.make_current()

    def gpu(self) -> Gpu:
        with self._named("Context.get_device"):
            current = self._driver.Context.get_device()
            every = [self._driver.Device(ordinal) for ordinal in range(self._driver.Device.count())]
            return Gpu(current.name(), tuple(current.compute_capability()), every.index(current))

    def make_current(self) -> None:
        """Only look: the context is the host's, and so is the choice of the threads that it is current in."""
        if self._driver.Context.get_current() is None:
            raise EngineMismatchError(
                "device 'pycuda': no pycuda context is current in this thread; push yours in the thread that opens and "
                "runs the engine, or open the engine with device='cuda-bindings'"
            )

    def create_stream(self) -> int:
        with self._named("Stream"):
            stream = self._driver.Stream(_NON_BLOCKING)
        self._streams[stream.handle] = stream
        return int(stream.handle)

    def synchronize(self, stream: int) -> None:
        with self._named("Stream.synchronize"):
            self._streams[stream].synchronize()

    def destroy_stream(self, stream: int) -> None:
        del self._streams[stream]

    def allocate(self, n_bytes: int) -> int:
        with self._named("mem_alloc"):
            memory = self._driver.mem_alloc(n_bytes)
        self._memories[int(memory)] = memory
        return int(memory)

    def free(self, pointer: int) -> None:
        with self._named("DeviceAllocation.free"):
            self._memories.pop(pointer).free()

    def allocate_pinned(self, n_bytes: int) -> NDArray[np.uint8]:
        with self._named("pagelocked_empty"):
            host: NDArray[np.uint8] = self._driver.pagelocked_empty(n_bytes, np.uint8)
        return host

    def free_pinned(self, host: NDArray[np.uint8]) -> None:
        allocation: Any = host.base
        with self._named("PagelockedHostAllocation.free"):
            allocation.free()

    def upload(self, pointer: int, host: NDArray[np.uint8], stream: int) -> None:
        with self._named("memcpy_htod_async"):
            self._driver.memcpy_htod_async(pointer, host, self._streams[stream])

    def download(self, host: NDArray[np.uint8], pointer: int, stream: int) -> None:
        with self._named("memcpy_dtoh_async"):
            self._driver.memcpy_dtoh_async(host, pointer, self._streams[stream])

    def create_event(self) -> Any:
        with self._named("Event"):
            return self._driver.Event()

    def record(self, event: Any, stream: int) -> None:
        with self._named("Event.record"):
            event.record(self._streams[stream])

    def elapsed_ms(self, start: Any, end: Any) -> float:
        with self._named("Event.time_since"):
            return float(end.time_since(start))

    def destroy_event(self, event: Any) -> None:
        """Nothing: the event goes when its holder lets go of it."""

    def capture(self, stream: int, enqueue: Callable[[], None]) -> Any:
        raise EngineMismatchError("pycuda offers no CUDA graphs; device='cuda-bindings' does")

    def launch_graph(self, graph: Any, stream: int) -> None:
        raise AssertionError("no graph was ever captured")

    def destroy_graph(self, graph: Any) -> None:
        raise AssertionError("no graph was ever captured")

    def load_kernel(self, cubin: bytes, name: str) -> Any:
        with self._named("module_from_buffer"):
            return self._driver.module_from_buffer(cubin).get_function(name)

    def launch_kernel(
        self,
        kernel: Any,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[KernelArgument],
        stream: int,
    ) -> None:
        with self._named("Function.__call__"):
            kernel(*arguments, grid=grid, block=block, stream=self._streams[stream])

    def unload_kernel(self, kernel: Any) -> None:
        """Nothing: the module goes when the holder of its function lets go of it."""

    @contextmanager
    def _named(self, call: str) -> Iterator[None]:
        """Turn pycuda's errors into the project's, with the call's name."""
        try:
            yield
        except self._driver.Error as error:
            raise EngineMismatchError(f"pycuda: {call} failed: {error}") from error
