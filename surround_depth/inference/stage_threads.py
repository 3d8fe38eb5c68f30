"""Stages on threads of their own: neighbouring items overlap, at most one waits between two stages, none piles up.

A stage takes its next item only when it can hand on what becomes of it. Until then the item stays at the entrance,
where a newer one can still replace it: an item's age is bounded by the slowest stage, not by the number of stages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from surround_depth.closing import Closing
from surround_depth.errors import DataError
from surround_depth.inference.latency import NS_PER_MS
from surround_depth.inference.slot import Slot

Item = TypeVar("Item")
Value = TypeVar("Value")

Stage = Mapping[str, Callable[[Any], Any]]
"""Named steps that one thread runs in turn; each gets what the one before it returned, the first of all the item."""


@dataclass
class Outcome(Generic[Item, Value]):
    """What became of one item."""

    item: Item
    result: Value | DataError
    """What the last step returned, or the error of the step that could not use the item."""
    step_ms: dict[str, float] = field(default_factory=dict)
    """How long each step took; a step that raised has none."""
    begun_ns: int = 0
    """When the first step began, by the clock of the threads."""
    done_ns: int = 0
    """When the last step ended; the wait until the outcome is delivered comes after it."""


class StageThreads(Closing, Generic[Item, Value]):
    """Runs every stage on a thread of its own, and `deliver` on one more.

    A step that raises `DataError` ends its item alone: the error is delivered in the item's place, in order. Whatever
    else a step raises, and whatever `deliver` raises, stops all threads, and `finish` raises it.

    Args:
        deliver: gets every outcome, in order, one at a time.
        clock_ns: the clock that steps are timed by.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        deliver: Callable[[Outcome[Item, Value]], object],
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._deliver = deliver
        self._clock_ns = clock_ns
        self._error: BaseException | None = None
        self._slots: list[Slot[Outcome[Item, Any]]] = [Slot() for _ in range(len(stages) + 1)]
        self._threads = [
            *(self._start(self._work, stage, *self._slots[i : i + 2]) for i, stage in enumerate(stages)),
            self._start(self._hand_out, self._slots[-1]),
        ]

    @property
    def n_dropped(self) -> int:
        """How many offered items were replaced by a newer one before the first stage took them."""
        return self._slots[0].n_replaced

    def submit(self, item: Item) -> bool:
        """Hand in an item that must not be lost: waits for room. False once the threads have stopped."""
        return self._slots[0].put(Outcome(item, item))

    def offer(self, item: Item) -> bool:
        """Hand in the latest item: one that was offered before and still waits is dropped. False as of `submit`.

        Returns at once, unless an item that was submitted waits.
        """
        return self._slots[0].put_latest(Outcome(item, item))

    def finish(self) -> None:
        """Let everything inside come out and end the threads.

        Raises:
            Whatever stopped the threads.
        """
        self._slots[0].finish()
        self._join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the threads after the steps that run now; what waits is discarded. Does nothing after `finish`."""
        for slot in self._slots:
            slot.abandon()
        self._join()

    def _start(self, target: Callable[..., None], *arguments: Any) -> threading.Thread:
        # daemon: a host that ends without closing shall not hang
        thread = threading.Thread(target=target, args=arguments, name=target.__name__, daemon=True)
        thread.start()
        return thread

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self, stage: Stage, source: Slot[Outcome[Item, Any]], sink: Slot[Outcome[Item, Any]]) -> None:
        with self._ending(source, sink):
            while sink.wait_for_room() and (outcome := source.take()) is not None:
                self._advance(outcome, stage)
                sink.put(outcome)

    def _hand_out(self, source: Slot[Outcome[Item, Any]]) -> None:
        with self._ending(source):
            while (outcome := source.take()) is not None:
                self._deliver(outcome)

    @contextmanager
    def _ending(self, source: Slot[Any], *sinks: Slot[Any]) -> Iterator[None]:
        """However a thread ends, its neighbours notice: the one before stops, the one behind lets out what it has."""
        try:
            yield
        except BaseException as error:  # raised again by `finish`, where the caller is
            self._error = self._error or error
        finally:
            source.abandon()
            for sink in sinks:
                sink.finish()

    def _advance(self, outcome: Outcome[Item, Any], stage: Stage) -> None:
        for name, step in stage.items():
            if isinstance(outcome.result, DataError):
                return
            begin_ns = self._clock_ns()
            if not outcome.step_ms:
                outcome.begun_ns = begin_ns
            try:
                outcome.result = step(outcome.result)
            except DataError as error:
                outcome.result = error
                return
            outcome.done_ns = self._clock_ns()
            outcome.step_ms[name] = (outcome.done_ns - begin_ns) / NS_PER_MS
