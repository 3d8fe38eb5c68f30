"""What is replayed and what is timed on a stream: a captured CUDA graph, and the events between the stages of a frame.

`cudart` is `cuda.bindings.runtime`, as `cuda_memory.load_cudart` returns it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.cuda_memory import Stream, check
from surround_depth.inference.latency import DeviceTimes


class CapturedGraph:
    """What `enqueue` put on the stream, launched again with one call instead of one per kernel.

    The graph holds the addresses of its buffers: they must stay where they are until it is closed.

    Args:
        enqueue: only queues work on `stream`; it has run once before, so that nothing is allocated while it is caught.

    Raises:
        EngineMismatchError: something in it cannot be captured. The stream is usable again.
    """

    def __init__(self, cudart: Any, stream: Stream, enqueue: Callable[[], None]) -> None:
        self._cudart = cudart
        self._executable: Any = None
        # thread-local: what other threads of the process allocate meanwhile does not spoil the capture
        mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        check(cudart, "cudaStreamBeginCapture", stream.handle, mode)
        try:
            enqueue()
        except EngineMismatchError:
            self._abandon(stream)
            raise
        try:
            graph = check(cudart, "cudaStreamEndCapture", stream.handle)
            try:
                self._executable = check(cudart, "cudaGraphInstantiate", graph, 0)
            finally:
                check(cudart, "cudaGraphDestroy", graph)
        except EngineMismatchError:
            cudart.cudaGetLastError()  # TensorRT asks for the last error after an enqueue: this one is not its own
            raise

    def launch(self, stream: Stream) -> None:
        """Queue everything that was captured."""
        check(self._cudart, "cudaGraphLaunch", self._executable, stream.handle)

    def close(self) -> None:
        """Free the graph; once."""
        if self._executable is not None:
            check(self._cudart, "cudaGraphExecDestroy", self._executable)
            self._executable = None

    def _abandon(self, stream: Stream) -> None:
        """Leave the capture; what was caught, and why ending it fails, is of no use."""
        _, *graph = self._cudart.cudaStreamEndCapture(stream.handle)
        if graph and graph[0]:
            self._cudart.cudaGraphDestroy(graph[0])
        self._cudart.cudaGetLastError()


class StageEvents:
    """Four events on a stream: before the uploads, between them and the engine, before the downloads, at the end."""

    _COUNT = 4

    def __init__(self, cudart: Any) -> None:
        self._cudart = cudart
        self._events: list[Any] = []
        try:
            for _ in range(self._COUNT):
                self._events.append(check(cudart, "cudaEventCreate"))
        except EngineMismatchError:
            self.close()
            raise

    def record(self, index: int, stream: Stream) -> None:
        """Queue event `index` (0 to 3)."""
        check(self._cudart, "cudaEventRecord", self._events[index], stream.handle)

    def times(self) -> DeviceTimes:
        """Return how long the stages took on the GPU; the stream has been synchronised since the last event."""
        durations_ms = (check(self._cudart, "cudaEventElapsedTime", *pair) for pair in pairwise(self._events))
        return DeviceTimes(*map(float, durations_ms))

    def close(self) -> None:
        """Free the events; a second call does nothing."""
        while self._events:
            check(self._cudart, "cudaEventDestroy", self._events.pop())
