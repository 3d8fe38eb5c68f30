from __future__ import annotations

import itertools

import pytest
from box_world import BoxDrive, make_rig

from surround_depth.data.sample import Sample
from surround_depth.errors import ConfigError, DataError
from surround_depth.runtime.pacing import Moment, MonotonicClock, Playback, PlaybackOptions, recorded_frequency_hz

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


def play(options: PlaybackOptions, work_s: float = 0.0, n: int = 10) -> tuple[list[int], list[float], list[Moment]]:
    """Return the first `n` moments, their indices, and the seconds at which they came, `work_s` spent on each."""
    time = HandTime()
    indices, seconds, moments = [], [], []
    for moment in itertools.islice(Playback(DRIVE, options, time.clock), n):
        assert moment.readable.frame.frame_id.endswith(f"/{moment.index}")
        indices.append(moment.index)
        seconds.append((time.now_ns - 5_000_000_000) / 1e9)
        moments.append(moment)
        time.work(work_s)
    return indices, seconds, moments


def test_every_sample_comes_on_its_time() -> None:
    indices, seconds, moments = play(PlaybackOptions(), work_s=0.02)
    assert indices == list(range(10))
    assert seconds == pytest.approx([0.1 * i for i in range(10)])
    assert [moment.due_ns for moment in moments] == [5_000_000_000 + 100_000_000 * i for i in range(10)]


def test_who_holds_the_playback_up_gets_samples_late_and_their_due_time_says_so() -> None:
    indices, seconds, moments = play(PlaybackOptions(), work_s=0.25)
    assert indices == list(range(10))
    assert seconds == pytest.approx([0.25 * i for i in range(10)])
    assert moments[4].due_ns == 5_400_000_000


def test_rate_changes_the_time_not_the_order() -> None:
    _, seconds, _ = play(PlaybackOptions(rate=2.0))
    assert seconds == pytest.approx([0.05 * i for i in range(10)])


def test_at_rate_zero_nothing_is_due_and_nothing_waits() -> None:
    indices, seconds, moments = play(PlaybackOptions(rate=0.0), work_s=0.5)
    assert indices == list(range(10))
    assert seconds == pytest.approx([0.5 * i for i in range(10)])
    assert {moment.due_ns for moment in moments} == {None}


def test_the_start() -> None:
    indices, seconds, _ = play(PlaybackOptions(start_s=0.35))
    assert indices == [4, 5, 6, 7, 8, 9]
    assert seconds[0] == 0.0


def test_a_loop_begins_again_at_its_start_and_pace() -> None:
    indices, seconds, _ = play(PlaybackOptions(start_s=0.7, loop=True), work_s=0.02, n=7)
    assert indices == [7, 8, 9, 7, 8, 9, 7]
    assert seconds[3] == pytest.approx(0.22)  # right after the last one's work
    assert seconds[4] - seconds[3] == pytest.approx(0.1)


def test_what_cannot_be_read_comes_in_its_place_and_the_pace_begins_behind_it() -> None:
    class Unreadable(BoxDrive):
        def __getitem__(self, index: int) -> Sample:
            if index in (0, 2):
                raise DataError(f"sample {index} is gone")
            return super().__getitem__(index)

    time = HandTime()
    moments = list(Playback(Unreadable(rig=DRIVE.rig, n_samples=4), PlaybackOptions(), time.clock))
    assert [moment.index for moment in moments] == [0, 1, 2, 3]
    assert [moment.due_ns for moment in moments] == [None, 5_000_000_000, None, 5_200_000_000]
    with pytest.raises(DataError, match="sample 2 is gone"):
        _ = moments[2].readable


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
