"""What the TensorRT backend asks of CUDA, and the two packages that answer: cuda-bindings, or a host's own pycuda.

Streams and device addresses are plain integers, host memory is a numpy array of bytes; events, graphs and kernels are
whatever the package makes of them and go back to the device that made them. Every failing call raises
EngineMismatchError with the name of the call and CUDA's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from surround_depth.inference.gpu import Gpu

DeviceKind = Literal["cuda-bindings", "pycuda"]
KernelArgument = np.uint64 | np.int32
"""An address, or a number: exactly what the kernel's parameter is."""


class Device(Protocol):
    """One GPU, in one CUDA context."""

    def gpu(self) -> Gpu: ...

    def make_current(self) -> None:
        """Make sure that this thread works in the device's context; before anything else on a thread."""
        ...

    def create_stream(self) -> int:
        """Return a stream that does not wait for the default stream (that would be a device synchronise per frame)."""
        ...

    def synchronize(self, stream: int) -> None:
        """Wait until the stream has done all that was asked of it."""
        ...

    def destroy_stream(self, stream: int) -> None: ...

    def allocate(self, n_bytes: int) -> int:
        """Return the address of device memory."""
        ...

    def free(self, pointer: int) -> None: ...

    def allocate_pinned(self, n_bytes: int) -> NDArray[np.uint8]:
        """Return page-locked host memory [n_bytes]; only such memory is copied without waiting."""
        ...

    def free_pinned(self, host: NDArray[np.uint8]) -> None:
        """Free what `allocate_pinned` returned; no view of it may be used afterwards."""
        ...

    def upload(self, pointer: int, host: NDArray[np.uint8], stream: int) -> None:
        """Queue the copy of all of `host` to the device address."""
        ...

    def download(self, host: NDArray[np.uint8], pointer: int, stream: int) -> None:
        """Queue the copy that fills `host` from the device address."""
        ...

    def create_event(self) -> Any: ...

    def record(self, event: Any, stream: int) -> None: ...

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the time between two events of a stream that has been synchronised since."""
        ...

    def destroy_event(self, event: Any) -> None: ...

    def capture(self, stream: int, enqueue: Callable[[], None]) -> Any:
        """Return as a graph what `enqueue` queues on `stream`; the stream is usable again, also after a failure.

        `enqueue` has run once before, so that nothing is allocated while it is caught. The graph holds the addresses
        of its buffers: they must stay where they are until it is destroyed.
        """
        ...

    def launch_graph(self, graph: Any, stream: int) -> None: ...

    def destroy_graph(self, graph: Any) -> None: ...

    def load_kernel(self, cubin: bytes, name: str) -> Any: ...

    def launch_kernel(
        self,
        kernel: Any,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[KernelArgument],
        stream: int,
    ) -> None: ...

    def unload_kernel(self, kernel: Any) -> None: ...


def open_device(kind: DeviceKind) -> Device:
    """Return the device layer of that package; its package is imported here and nowhere before.

    "cuda-bindings" works in the primary context of the device that is current (the first, where nobody chose another);
    "pycuda" in the pycuda context that is current in this thread, and makes none.

    Raises:
        MissingDependencyError: the package is not installed.
        EngineMismatchError: pycuda has no current context.
    """
    match kind:
        case "cuda-bindings":
            from surround_depth.inference.cuda_bindings_device import CudaBindingsDevice, load_cuda_bindings

            return CudaBindingsDevice(*load_cuda_bindings())
        case "pycuda":
            from surround_depth.inference.pycuda_device import PycudaDevice, load_pycuda

            return PycudaDevice(load_pycuda())
