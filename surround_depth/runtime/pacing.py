"""Play a recording at its own pace: samples come out when they are due; when we are late, only the newest one does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.errors import ConfigError, DataError
from surround_depth.runtime.failures import Failures

NS_PER_S = 1_000_000_000
AS_FAST_AS_POSSIBLE = 0.0


@dataclass(frozen=True)
class PlaybackOptions:
    """What to play, and how fast."""

    rate: float = 1.0
    """Recorded seconds per second; 0 plays every sample as fast as it can be processed and drops none."""
    start_s: float = 0.0
    """Recorded seconds to skip at the beginning."""
    max_frames: int | None = None
    """Stop after so many frames were handed out, also those that then turn out to be damaged."""
    loop: bool = False
    """Begin again at the end, until stopped or `max_frames` is reached."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate < float("inf"):
            raise ConfigError(f"rate is 0 (as fast as possible) or a positive factor, got {self.rate}")
        if not 0.0 <= self.start_s < float("inf"):
            raise ConfigError(f"start_s is a number of seconds from the beginning, got {self.start_s}")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"max_frames is at least 1, got {self.max_frames}")


@dataclass(frozen=True)
class MonotonicClock:
    """The clock that playback waits on; a test passes its own."""

    now_ns: Callable[[], int] = time.monotonic_ns
    sleep_s: Callable[[float], None] = time.sleep


REAL_CLOCK = MonotonicClock()


class Playback:
    """Iterates over the samples of a sequence at the pace of their stamps; counts what was played and dropped.

    The consumer works between two `next` calls. A sample that is overtaken by a newer due one meanwhile is dropped, so
    at most one is ever waiting and the age of what is shown stays bounded. A sample that cannot be read is skipped and
    counted in `failures`, where the consumer adds those that it cannot process, and its successes.
    """

    def __init__(self, sequence: SampleSequence, options: PlaybackOptions, clock: MonotonicClock = REAL_CLOCK) -> None:
        self.n_played = 0
        self.n_dropped = 0
        self.failures = Failures()
        self._sequence = sequence
        self._options = options
        self._clock = clock
        self._first = _first_index(sequence, options.start_s)

    def __iter__(self) -> Iterator[tuple[int, Sample]]:
        """Yield (index, sample) until the end, `max_frames`, or for ever when looping.

        Raises:
            DataError: too many samples in a row failed.
        """
        while True:
            for item in self._play_once():
                self.n_played += 1
                yield item
                if self.n_played == self._options.max_frames:
                    return
            if not self._options.loop:
                return

    def _play_once(self) -> Iterator[tuple[int, Sample]]:
        with _ReadAhead(self._sequence, self.failures) as reader:
            current = reader.next_from(self._first)
            if current is None:
                return
            pace = _Pace(self._options.rate, self._clock, self._clock.now_ns(), current[1].frame.reference_stamp_ns)
            while current is not None:
                following = reader.next_from(current[0] + 1)
                pace.wait_for(current[1])
                while following is not None and pace.is_due(following[1]):
                    self.n_dropped += 1
                    current, following = following, reader.next_from(following[0] + 1)
                yield current
                current = following


class _ReadAhead:
    """Reads the next samples on a thread of its own while the consumer works on the last one."""

    _N_AHEAD = 2

    def __init__(self, sequence: SampleSequence, failures: Failures) -> None:
        self._sequence = sequence
        self._failures = failures
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead")
        self._reads: dict[int, Future[Sample]] = {}

    def next_from(self, index: int) -> tuple[int, Sample] | None:
        """Return the first sample from `index` on that can be read, with its index; None beyond the end."""
        while index < len(self._sequence):
            try:
                return index, self._get(index)
            except DataError as error:
                self._failures.add(error)
                index += 1
        return None

    def _get(self, index: int) -> Sample:
        for ahead in range(index, min(index + 1 + self._N_AHEAD, len(self._sequence))):
            if ahead not in self._reads:
                self._reads[ahead] = self._thread.submit(self._sequence.__getitem__, ahead)
        return self._reads.pop(index).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Pace:
    """When a recorded stamp is due on the monotonic clock."""

    rate: float
    clock: MonotonicClock
    start_ns: int
    first_stamp_ns: int

    def is_due(self, sample: Sample) -> bool:
        """Has the sample's time come? At rate 0 nothing is ever due, so nothing is ever overtaken."""
        return self.rate != AS_FAST_AS_POSSIBLE and self._wait_ns(sample) <= 0

    def wait_for(self, sample: Sample) -> None:
        """Sleep until the sample's time."""
        if self.rate != AS_FAST_AS_POSSIBLE and (wait_ns := self._wait_ns(sample)) > 0:
            self.clock.sleep_s(wait_ns / NS_PER_S)

    def _wait_ns(self, sample: Sample) -> int:
        recorded_ns = sample.frame.reference_stamp_ns - self.first_stamp_ns
        return self.start_ns + round(recorded_ns / self.rate) - self.clock.now_ns()


def recorded_frequency_hz(sequence: SampleSequence, default_hz: float = 2.0) -> float:
    """Return how often the recording has a sample, judged by its first two; `default_hz` for a single one."""
    if len(sequence) < 2:
        return default_hz
    period_ns = sequence[1].frame.reference_stamp_ns - sequence[0].frame.reference_stamp_ns
    if period_ns <= 0:
        raise DataError(f"sequence {sequence.name}: the second sample is not later than the first")
    return NS_PER_S / period_ns


def _first_index(sequence: SampleSequence, start_s: float) -> int:
    if len(sequence) == 0:
        raise DataError(f"sequence {sequence.name} has no sample")
    if start_s == 0.0:
        return 0
    start_ns = sequence[0].frame.reference_stamp_ns + round(start_s * NS_PER_S)
    for index in range(len(sequence)):
        if sequence[index].frame.reference_stamp_ns >= start_ns:
            return index
    raise DataError(f"sequence {sequence.name} ends before start_s = {start_s}; choose an earlier start")
