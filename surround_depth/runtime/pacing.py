"""Play a recording at its own pace: every moment comes out when it is due, also one that could not be read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.errors import ConfigError, DataError

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
    """Stop after so many samples that could be read and were not dropped, also those that turn out to be damaged."""
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

    def sleep_until(self, due_ns: int) -> None:
        """Sleep until a time of this clock, not at all where it has passed."""
        wait_ns = due_ns - self.now_ns()
        if wait_ns > 0:
            self.sleep_s(wait_ns / NS_PER_S)


REAL_CLOCK = MonotonicClock()


@dataclass(frozen=True)
class Moment:
    """One place of a sequence, when it is due."""

    index: int
    sample: Sample | DataError
    """The error where it could not be read."""
    due_ns: int | None = None
    """When it was due, by the clock of the playback; None at rate 0 and where nothing could be read."""

    @property
    def readable(self) -> Sample:
        """The sample.

        Raises:
            DataError: it could not be read.
        """
        if isinstance(self.sample, DataError):
            raise self.sample
        return self.sample


class Playback:
    """Iterates over the moments of a sequence, each when it is due by its stamp; drops none.

    The consumer must not hold it up: what comes late because the consumer was busy has aged already.
    """

    def __init__(self, sequence: SampleSequence, options: PlaybackOptions, clock: MonotonicClock = REAL_CLOCK) -> None:
        self._sequence = sequence
        self._options = options
        self._clock = clock
        self._first = _first_index(sequence, options.start_s)

    def __iter__(self) -> Iterator[Moment]:
        """Yield every moment until the end, or for ever when looping."""
        while True:
            yield from self._play_once()
            if not self._options.loop:
                return

    def _play_once(self) -> Iterator[Moment]:
        pace: _Pace | None = None
        with _ReadAhead(self._sequence) as reader:
            for index in range(self._first, len(self._sequence)):
                sample = reader.read(index)
                if isinstance(sample, DataError):
                    yield Moment(index, sample)
                    continue
                stamp_ns = sample.frame.reference_stamp_ns
                pace = pace or _Pace(self._options.rate, self._clock.now_ns(), stamp_ns)
                due_ns = pace.due_ns(stamp_ns)
                if due_ns is not None:
                    self._clock.sleep_until(due_ns)
                yield Moment(index, sample, due_ns)


class _ReadAhead:
    """Reads the next samples on a thread of its own while the last one waits for its time."""

    _N_AHEAD = 2

    def __init__(self, sequence: SampleSequence) -> None:
        self._sequence = sequence
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead")
        self._reads: dict[int, Future[Sample]] = {}

    def read(self, index: int) -> Sample | DataError:
        """Return a sample, or why it cannot be read."""
        for ahead in range(index, min(index + 1 + self._N_AHEAD, len(self._sequence))):
            if ahead not in self._reads:
                self._reads[ahead] = self._thread.submit(self._sequence.__getitem__, ahead)
        try:
            return self._reads.pop(index).result()
        except DataError as error:
            return error

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
    start_ns: int
    first_stamp_ns: int

    def due_ns(self, stamp_ns: int) -> int | None:
        """Return the time at which a recorded stamp is due; None at rate 0, where nothing ever is."""
        if self.rate == AS_FAST_AS_POSSIBLE:
            return None
        return self.start_ns + round((stamp_ns - self.first_stamp_ns) / self.rate)


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
