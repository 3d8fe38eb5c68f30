from __future__ import annotations

import pytest

from surround_depth.inference.latency import LatencyRecorder, p99_text


class HandClock:
    """A clock that is moved by hand, in milliseconds."""

    def __init__(self) -> None:
        self.now_ms = 0.0

    def __call__(self) -> int:
        return round(self.now_ms * 1e6)


def record(recorder: LatencyRecorder, clock: HandClock, name: str, duration_ms: float) -> None:
    with recorder.stage(name):
        clock.now_ms += duration_ms


def test_percentiles_are_numpys() -> None:
    clock = HandClock()
    recorder = LatencyRecorder(clock_ns=clock)
    for duration_ms in range(1, 102):
        record(recorder, clock, "infer", float(duration_ms))
    summary = recorder.summary()["infer"]
    assert (summary.count, summary.p50_ms, summary.p90_ms, summary.p95_ms) == (101, 51, 91, 96)
    assert (summary.p99_ms, summary.max_ms) == (100, 101)
    assert recorder.last_ms("infer") == 101.0


def test_p99_needs_frames_behind_it() -> None:
    assert (p99_text(41.26, 199), p99_text(41.26, 200)) == ("-", "41.3")


def test_stages_nest_and_keep_their_order() -> None:
    clock = HandClock()
    recorder = LatencyRecorder(clock_ns=clock)
    with recorder.stage("total"):
        record(recorder, clock, "prepare", 3.0)
        record(recorder, clock, "infer", 5.0)
    assert recorder.last_ms("total") == 8.0
    assert list(recorder.summary()) == ["prepare", "infer", "total"]


def test_only_the_window_is_kept() -> None:
    clock = HandClock()
    recorder = LatencyRecorder(window=2, clock_ns=clock)
    for duration_ms in (100.0, 1.0, 2.0):
        record(recorder, clock, "infer", duration_ms)
    assert recorder.summary()["infer"].count == 2
    assert recorder.summary()["infer"].max_ms == 2.0


def test_a_failed_stage_is_no_latency() -> None:
    recorder = LatencyRecorder()
    with pytest.raises(RuntimeError), recorder.stage("infer"):
        raise RuntimeError
    assert recorder.last_ms("infer") is None
    assert recorder.summary() == {}
