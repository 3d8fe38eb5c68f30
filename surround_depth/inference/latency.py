"""Where the time of a frame goes: named stages on the monotonic clock, summarised as percentiles."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

NS_PER_MS = 1_000_000
DEFAULT_WINDOW = 10_000
MIN_COUNT_FOR_P99 = 200  # with fewer the 99th percentile is one of the two slowest frames


@dataclass(frozen=True)
class StageLatency:
    """How long one stage took over the recorded frames, in milliseconds."""

    count: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class DeviceTimes:
    """Where one frame's time went on a device, by its own clock, in milliseconds."""

    upload_ms: float
    engine_ms: float
    download_ms: float


class LatencyRecorder:
    """Durations of named stages. Keeps the last `window` of each, so a node may run for weeks.

    A stage that raises is not recorded: a failure is not a latency.
    """

    def __init__(self, *, window: int = DEFAULT_WINDOW, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._window = window
        self._clock_ns = clock_ns
        self._durations_ms: dict[str, deque[float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body of a `with` block as one sample of stage `name`."""
        start_ns = self._clock_ns()
        yield
        self.add(name, (self._clock_ns() - start_ns) / NS_PER_MS)

    def add(self, name: str, duration_ms: float) -> None:
        """Count a duration that was measured elsewhere as one sample of stage `name`."""
        self._durations_ms.setdefault(name, deque(maxlen=self._window)).append(duration_ms)

    def last_ms(self, name: str) -> float | None:
        """Return the newest duration of a stage, None before its first end."""
        durations = self._durations_ms.get(name)
        return durations[-1] if durations else None

    def summary(self) -> dict[str, StageLatency]:
        """Return every stage's percentiles (linear between samples, as numpy's), in order of first appearance."""
        return {name: _percentiles(durations) for name, durations in self._durations_ms.items()}


def p99_text(p99_ms: float, count: float) -> str:
    """Return a 99th percentile as text, "-" where too few frames stand behind it."""
    return f"{p99_ms:.1f}" if count >= MIN_COUNT_FOR_P99 else "-"


def _percentiles(durations_ms: deque[float]) -> StageLatency:
    p50, p90, p95, p99 = map(float, np.percentile(durations_ms, (50, 90, 95, 99)))
    return StageLatency(len(durations_ms), p50, p90, p95, p99, max(durations_ms))
