"""Rates: what is computed from times, by hand; what the threads do, behind gates."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from surround_depth.benchmarks.highest_rate import highest_held
from surround_depth.benchmarks.rates import (
    Deliver,
    DueFrame,
    RateResult,
    hold_rate,
    rate_result,
    rates_table,
    throughput_hz,
)
from surround_depth.errors import ConfigError, DataError
from surround_depth.inference.stage_threads import StageThreads
from surround_depth.runtime.pacing import MonotonicClock

MS = 1_000_000


class HandTime:
    """A clock that only sleeping moves."""

    now_ns = 0

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    @property
    def clock(self) -> MonotonicClock:
        return MonotonicClock(lambda: self.now_ns, self.sleep)


def test_ages_misses_and_jitter_of_frames_that_come_at_eight_hertz() -> None:
    # of 8 frames, due every 125 ms, 5 were done 250 ms apart; the last one was begun 125 ms after it came
    due_ns = [0, 250 * MS, 500 * MS, 750 * MS, 875 * MS]
    done_ns = [250 * MS, 500 * MS, 750 * MS, 1000 * MS, 1250 * MS]
    result = rate_result(8.0, 8, due_ns, done_ns, joules=10.0, memory_mib=300.0)
    assert (result.n_due, result.n_dropped, result.n_missed) == (8, 3, 5)
    assert (result.age_p50_ms, result.age_max_ms) == (250.0, 375.0)
    assert result.jitter_ms == 0.0
    assert result.joules_per_frame == 2.0
    assert not result.is_held


def test_jitter_is_of_the_time_between_results() -> None:
    result = rate_result(10.0, 3, [0, 100 * MS, 200 * MS], [25 * MS, 135 * MS, 225 * MS], joules=None, memory_mib=300.0)
    assert result.n_missed == 0
    assert result.jitter_ms == pytest.approx(10.0)  # 110 and 90 ms
    assert result.is_held


def test_frames_come_by_the_clock_and_the_latest_wins() -> None:
    begun, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def step(due: DueFrame) -> None:
        seen.append(due.due_ns)
        begun.set()
        assert go_on.wait(20)

    class HeldUntilAllCame(StageThreads[DueFrame, Any]):
        def offer(self, item: DueFrame) -> bool:
            accepted = super().offer(item)
            assert begun.wait(20)  # the first one is taken before the second comes
            return accepted

        def finish(self) -> None:
            go_on.set()
            super().finish()

    time = HandTime()
    chain = lambda deliver: HeldUntilAllCame([{"step": step}], deliver, clock_ns=time.clock.now_ns)  # noqa: E731
    result = hold_rate(chain, 8.0, 8, time.clock)
    assert seen == [0, 875 * MS]
    assert (result.n_due, result.n_dropped) == (8, 6)
    assert result.age_max_ms == pytest.approx(875.0)  # the first, done when the last had come


def refuse(due: DueFrame) -> None:
    raise DataError("no frame")


def test_a_frame_that_cannot_be_processed_ends_the_measurement() -> None:
    def chain(deliver: Deliver) -> StageThreads[DueFrame, Any]:
        return StageThreads([{"step": refuse}], deliver)

    with pytest.raises(DataError, match="no frame"):
        hold_rate(chain, 1000.0, 20)
    with pytest.raises(DataError, match="no frame"):
        throughput_hz(chain, 5.0)


def test_throughput_counts_the_time_between_results() -> None:
    time = HandTime()

    def take_20_ms(due: DueFrame) -> None:
        time.sleep(0.02)

    def chain(deliver: Deliver) -> StageThreads[DueFrame, Any]:
        return StageThreads([{"step": take_20_ms}], deliver, clock_ns=time.clock.now_ns)

    assert throughput_hz(chain, 1.0, time.clock) == pytest.approx(50.0)
    with pytest.raises(ConfigError, match="too short"):
        throughput_hz(chain, 0.0, time.clock)


def held_below(limit_hz: float) -> Any:
    def hold(rate_hz: float) -> RateResult:
        n_done = 100 if rate_hz <= limit_hz else 99
        return rate_result(rate_hz, 100, range(n_done), range(n_done), joules=None, memory_mib=300.0)

    return hold


@pytest.mark.parametrize("limit_hz", [11.0, 14.2, 19.9, 30.0])
def test_the_highest_rate_that_is_held_is_found(limit_hz: float) -> None:
    best = highest_held(held_below(limit_hz), top_hz=20.0)
    assert best is not None
    assert 0.98 * min(limit_hz, 1.05 * 20.0) <= best.rate_hz <= limit_hz


def test_a_chain_that_holds_nothing_has_no_highest_rate() -> None:
    assert highest_held(held_below(0.0), top_hz=20.0) is None


def test_the_table_and_what_is_refused() -> None:
    table = rates_table(
        [rate_result(20.0, 3, [0, 50 * MS, 100 * MS], [12 * MS, 62 * MS, 112 * MS], joules=4.5, memory_mib=300.4)]
    )
    assert table.splitlines()[2] == "| 20 | 3 | 0 | 0 | 12.0 | 12.0 | - | 12.0 | 0.0 | 1.50 | 300 |"
    with pytest.raises(ConfigError, match=r"got 0\.0 Hz"):
        hold_rate(lambda deliver: StageThreads([], deliver), 0.0, 3)
