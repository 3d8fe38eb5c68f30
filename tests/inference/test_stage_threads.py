"""Fake stages behind gates: what waits, what is dropped and what comes out is known, whatever the scheduler does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from surround_depth.errors import DataError
from surround_depth.inference.stage_threads import Outcome, StageThreads

WAIT_S = 20.0


class Gate:
    """A step that says which items have begun and holds each of them until the gate is opened."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.begun: list[int] = []
        self._opened = threading.Event()
        self._changed = threading.Condition()
        if is_open:
            self.open()

    def __call__(self, item: int) -> int:
        with self._changed:
            self.begun.append(item)
            self._changed.notify_all()
        assert self._opened.wait(WAIT_S)
        return item

    def open(self) -> None:
        self._opened.set()

    def wait_until_begun(self, item: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: item in self.begun, WAIT_S)


class Results:
    """Takes outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome[int, Any]] = []

    def __call__(self, outcome: Outcome[int, Any]) -> None:
        self.outcomes.append(outcome)

    @property
    def items(self) -> list[int]:
        return [outcome.item for outcome in self.outcomes]


def threads_of(results: Callable[[Outcome[int, Any]], object], *steps: Callable[[Any], Any]) -> StageThreads[int, Any]:
    return StageThreads([{f"step {i}": step} for i, step in enumerate(steps)], results)


def n_stage_threads() -> int:
    return sum(thread.name in ("_work", "_hand_out") for thread in threading.enumerate())


def test_everything_submitted_comes_out_in_order_through_all_steps() -> None:
    results = Results()
    stages = ({"double": lambda x: 2 * x}, {"add": lambda x: x + 1, "text": str})
    with StageThreads(stages, results) as threads:
        assert all(threads.submit(item) for item in range(50))
        threads.finish()
    assert results.items == list(range(50))
    assert [outcome.result for outcome in results.outcomes] == [str(2 * item + 1) for item in range(50)]
    assert threads.n_dropped == 0
    assert all(list(outcome.step_ms) == ["double", "add", "text"] for outcome in results.outcomes)
    assert all(outcome.begun_ns <= outcome.done_ns for outcome in results.outcomes)


def test_stages_work_on_neighbours_at_the_same_time() -> None:
    first, second, results = Gate(is_open=True), Gate(), Results()
    with threads_of(results, first, second) as threads:
        threads.submit(0)
        second.wait_until_begun(0)
        threads.submit(1)
        first.wait_until_begun(1)  # while the second stage still holds 0
        second.open()
        threads.finish()
    assert results.items == [0, 1]


def test_the_latest_wins_and_what_it_replaces_is_counted() -> None:
    first, second, results = Gate(is_open=True), Gate(), Results()
    with threads_of(results, first, second) as threads:
        threads.offer(0)
        second.wait_until_begun(0)
        threads.offer(1)
        first.wait_until_begun(1)  # done with it, it waits between the stages, and the first stage takes no other
        for item in range(2, 20):
            assert threads.offer(item)
        assert threads.n_dropped == 17
        assert first.begun == [0, 1]
        second.open()
        threads.finish()
    assert results.items == [0, 1, 19]
    assert threads.n_dropped == 17


def test_what_was_submitted_is_never_replaced() -> None:
    gate, results = Gate(), Results()
    with threads_of(results, gate) as threads:
        threads.submit(0)
        gate.wait_until_begun(0)
        threads.submit(1)
        offering = threading.Thread(target=threads.offer, args=(2,))
        offering.start()
        gate.open()
        offering.join(WAIT_S)
        threads.finish()
    assert results.items == [0, 1, 2]
    assert threads.n_dropped == 0


def test_submit_waits_for_room() -> None:
    gate, results, handed_in = Gate(), Results(), []

    def submit_all() -> None:
        for item in range(6):
            threads.submit(item)
            handed_in.append(item)

    with threads_of(results, gate) as threads:
        submitting = threading.Thread(target=submit_all)
        submitting.start()
        gate.wait_until_begun(0)
        assert submitting.is_alive()
        assert len(handed_in) <= 2  # one is worked on, one waits, the third waits outside
        gate.open()
        submitting.join(WAIT_S)
        threads.finish()
    assert results.items == list(range(6))


def test_a_damaged_item_is_delivered_in_its_place_and_stops_nothing() -> None:
    def refuse_odd(item: int) -> int:
        if item % 2:
            raise DataError(f"{item} is odd")
        return item

    results, behind = Results(), Gate(is_open=True)
    with threads_of(results, refuse_odd, behind) as threads:
        for item in range(5):
            threads.submit(item)
        threads.finish()
    assert results.items == list(range(5))
    assert [str(o.result) for o in results.outcomes if isinstance(o.result, DataError)] == ["1 is odd", "3 is odd"]
    assert behind.begun == [0, 2, 4]
    assert results.outcomes[1].step_ms == {}


@pytest.mark.parametrize("broken_stage", [0, 1, 2])
def test_any_other_error_stops_everything_and_is_raised(broken_stage: int) -> None:
    def break_at_three(item: int) -> int:
        if item == 3:
            raise RuntimeError("the engine is gone")
        return item

    results = Results()
    steps: list[Callable[[int], int]] = [Gate(is_open=True), Gate(is_open=True), Gate(is_open=True)]
    steps[broken_stage] = break_at_three
    with threads_of(results, *steps) as threads:
        handed_in = 0
        while threads.submit(handed_in):  # comes back False, sooner or later
            handed_in += 1
        with pytest.raises(RuntimeError, match="the engine is gone"):
            threads.finish()
    assert results.items == [0, 1, 2]  # what was ahead of it still came out
    assert not threads.offer(99)


def test_what_the_receiver_raises_stops_everything_even_a_data_error() -> None:
    def full_disk(outcome: Outcome[int, Any]) -> None:
        raise DataError("the disk is full")

    with threads_of(full_disk, Gate(is_open=True)) as threads:
        while threads.submit(0):
            pass
        with pytest.raises(DataError, match="the disk is full"):
            threads.finish()


def test_closing_while_busy_joins_the_threads_and_discards_what_waits() -> None:
    before = n_stage_threads()
    gate, results = Gate(), Results()
    threads = threads_of(results, gate, Gate(is_open=True))
    threads.submit(0)
    gate.wait_until_begun(0)
    threads.submit(1)
    closing = threading.Thread(target=threads.close)
    closing.start()
    assert not threads.submit(2)  # waits for room that never comes, until the threads are told to end
    gate.open()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert n_stage_threads() == before
    assert gate.begun == [0]
    assert results.items == []


def test_leaving_the_with_block_early_ends_the_threads() -> None:
    before = n_stage_threads()
    with threads_of(Results(), Gate(is_open=True)) as threads:
        threads.submit(0)
    assert n_stage_threads() == before


def test_steps_are_timed_by_the_clock_that_is_given() -> None:
    ticks = iter(range(0, 1000, 10))
    results = Results()
    stages = ({"a": lambda x: x}, {"b": lambda x: x})
    with StageThreads(stages, results, clock_ns=lambda: 1_000_000 * next(ticks)) as threads:
        threads.submit(0)
        threads.finish()
    (outcome,) = results.outcomes
    assert outcome.step_ms == {"a": 10.0, "b": 10.0}
    assert (outcome.begun_ns, outcome.done_ns) == (0, 30_000_000)
