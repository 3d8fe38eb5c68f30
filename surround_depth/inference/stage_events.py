"""Where a frame's time goes on the GPU: events on its stream, between the stages."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from surround_depth.closing import Closing
from surround_depth.errors import EngineMismatchError
from surround_depth.inference.device import Device
from surround_depth.inference.latency import DeviceTimes


class StageEvents(Closing):
    """Four events on a stream: before the uploads, between them and the engine, before the downloads, at the end."""

    _COUNT = 4

    def __init__(self, device: Device) -> None:
        self._device = device
        self._events: list[Any] = []
        try:
            for _ in range(self._COUNT):
                self._events.append(device.create_event())
        except EngineMismatchError:
            self.close()
            raise

    def record(self, index: int, stream: int) -> None:
        """Queue event `index` (0 to 3)."""
        self._device.record(self._events[index], stream)

    def times(self) -> DeviceTimes:
        """Return how long the stages took on the GPU; the stream has been synchronised since the last event."""
        return DeviceTimes(*(self._device.elapsed_ms(start, end) for start, end in pairwise(self._events)))

    def close(self) -> None:
        """Free the events; a second call does nothing."""
        while self._events:
            self._device.destroy_event(self._events.pop())
