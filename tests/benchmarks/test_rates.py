"""Rates by hand: a clock that is moved by the work alone."""

from __future__ import annotations

import pytest

from surround_depth.benchmarks.rates import Clock, highest_rate_hz, hold_rate, rates_table
from surround_depth.errors import ConfigError


class HandClock:
    """Time passes when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, self.pass_s)


def test_a_chain_that_is_fast_enough_drops_nothing() -> None:
    hand, seen = HandClock(), []

    def process(index: int) -> None:
        seen.append(index)
        hand.pass_s(0.025)

    result = hold_rate(process, 10.0, 5, hand.clock)
    assert seen == [0, 1, 2, 3, 4]
    assert (result.n_due, result.n_dropped, result.n_missed) == (5, 0, 0)
    assert [result.age_p50_ms, result.age_max_ms] == pytest.approx([25.0, 25.0])
    assert result.jitter_ms == pytest.approx(0.0, abs=1e-9)


def test_the_latest_wins_and_the_rest_is_counted() -> None:
    # 8 frames come at 0, 125, 250, ... ms; each takes 250 ms. Frame 0 ends at 250 when 1 and 2 have come: 1 is dropped.
    # So are 3 and 5; 6 ends at 1000 when the last one, 7, has come at 875 and is taken: it ends at 1250.
    hand, seen = HandClock(), []

    def process(index: int) -> None:
        seen.append(index)
        hand.pass_s(0.25)

    result = hold_rate(process, 8.0, 8, hand.clock)
    assert seen == [0, 2, 4, 6, 7]
    assert (result.n_dropped, result.n_missed) == (3, 5)
    assert result.age_p50_ms == pytest.approx(250.0)
    assert result.age_max_ms == pytest.approx(375.0)


def test_the_highest_rate_of_a_steady_chain_is_one_over_its_time() -> None:
    # at rates just above, a queue of one grows so slowly that under one in a hundred is lost
    assert 10.0 <= highest_rate_hz([100.0] * 20) <= 10.0 / 0.99 * 1.001


def test_one_slow_frame_in_ten_does_not_set_the_rate_and_one_in_two_does() -> None:
    fast = highest_rate_hz([50.0] * 9 + [100.0])
    assert highest_rate_hz([50.0, 100.0]) < fast < 20.3


def test_the_table_and_what_is_refused() -> None:
    hand = HandClock()
    table = rates_table([hold_rate(lambda index: hand.pass_s(0.0125), 20.0, 3, hand.clock)])
    assert table.splitlines()[2] == "| 20 | 3 | 0 | 0 | 12.5 | 12.5 | - | 12.5 | 0.0 |"
    with pytest.raises(ConfigError, match=r"got 0\.0 Hz"):
        hold_rate(print, 0.0, 3)
    with pytest.raises(ConfigError, match="needs measured durations"):
        highest_rate_hz([])
