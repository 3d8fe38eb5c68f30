from __future__ import annotations

import pytest
from box_world import BoxDrive, make_rig

from surround_depth.errors import ConfigError, DataError
from surround_depth.runtime.pacing import MonotonicClock, Playback, PlaybackOptions, recorded_frequency_hz

# Ten samples at 10 Hz of one small camera.
DRIVE = BoxDrive(rig=make_rig(("F",), height_px=8, width_px=8), n_samples=10)


class HandTime:
    """A clock that only sleeping and working move."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    @property
    def clock(self) -> MonotonicClock:
        return MonotonicClock(lambda: self.now_ns, self.work)

    def work(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def play(options: PlaybackOptions, work_s: float, drive: BoxDrive = DRIVE) -> tuple[list[int], list[float], Playback]:
    """Return the played indices, the seconds at which they came, and the playback, with `work_s` spent on each."""
    time = HandTime()
    playback = Playback(drive, options, time.clock)
    indices, seconds = [], []
    for index, sample in playback:
        assert sample.frame.frame_id.endswith(f"/{index}")
        indices.append(index)
        seconds.append((time.now_ns - 5_000_000_000) / 1e9)
        time.work(work_s)
    return indices, seconds, playback


def test_a_fast_consumer_gets_every_sample_on_its_time() -> None:
    indices, seconds, playback = play(PlaybackOptions(), work_s=0.02)
    assert indices == list(range(10))
    assert seconds == pytest.approx([0.1 * i for i in range(10)])
    assert (playback.n_played, playback.n_dropped) == (10, 0)


def test_a_slow_consumer_gets_the_newest_due_sample() -> None:
    indices, seconds, playback = play(PlaybackOptions(), work_s=0.25)
    assert indices == [0, 2, 5, 7, 9]  # at 0, 0.25, 0.5, 0.75, then 1.0 s
    assert seconds == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert (playback.n_played, playback.n_dropped) == (5, 5)


@pytest.mark.parametrize("work_s", [0.0, 0.03, 0.11, 0.7, 30.0])
def test_what_is_shown_was_never_overtaken_by_more_than_the_work(work_s: float) -> None:
    indices, seconds, playback = play(PlaybackOptions(), work_s)
    assert indices[-1] == 9
    assert playback.n_played + playback.n_dropped == 10
    for index, second in zip(indices[:-1], seconds[:-1], strict=True):
        assert -1e-9 <= second - 0.1 * index < 0.1 + 1e-9  # due, and the newest that is


def test_rate_changes_the_time_not_the_order() -> None:
    _, seconds, _ = play(PlaybackOptions(rate=2.0), work_s=0.0)
    assert seconds == pytest.approx([0.05 * i for i in range(10)])


def test_rate_zero_never_waits_and_never_drops() -> None:
    indices, seconds, playback = play(PlaybackOptions(rate=0.0), work_s=0.5)
    assert indices == list(range(10))
    assert seconds == pytest.approx([0.5 * i for i in range(10)])
    assert playback.n_dropped == 0


def test_start_and_number_of_frames() -> None:
    assert play(PlaybackOptions(start_s=0.35, max_frames=3), work_s=0.0)[0] == [4, 5, 6]


def test_a_loop_begins_again_at_its_start_and_pace() -> None:
    indices, seconds, _ = play(PlaybackOptions(start_s=0.7, max_frames=7, loop=True), work_s=0.02)
    assert indices == [7, 8, 9, 7, 8, 9, 7]
    assert seconds[3] == pytest.approx(0.22)  # right after the last one's work
    assert seconds[4] - seconds[3] == pytest.approx(0.1)


def test_frequency() -> None:
    assert recorded_frequency_hz(DRIVE) == pytest.approx(10.0)
    assert recorded_frequency_hz(BoxDrive(rig=DRIVE.rig, n_samples=1), default_hz=3.0) == 3.0
    with pytest.raises(DataError, match="not later"):
        recorded_frequency_hz(BoxDrive(rig=DRIVE.rig, period_ns=0))


@pytest.mark.parametrize(
    "options", [{"rate": -1.0}, {"rate": float("nan")}, {"start_s": -0.1}, {"max_frames": 0}], ids=str
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        PlaybackOptions(**options)  # type: ignore[arg-type]


def test_nothing_to_play_is_said() -> None:
    with pytest.raises(DataError, match="no sample"):
        Playback(BoxDrive(rig=DRIVE.rig, n_samples=0), PlaybackOptions())
    with pytest.raises(DataError, match="ends before start_s"):
        Playback(DRIVE, PlaybackOptions(start_s=1.0))
