from __future__ import annotations

import threading

import numpy as np
import pytest
from box_world import BoxDrive, OracleBackend

from surround_depth.errors import DataError
from surround_depth.runtime.pacing import PlaybackOptions
from surround_depth.runtime.player import Player
from surround_depth.runtime.presenter import Presenter
from surround_depth.runtime.results import PlayedFrame


class SlowSink:
    """Shows nothing until it is let go; remembers what came."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self.shown: list[int] = []
        self.closed = False

    def show(self, frame: PlayedFrame, picture: np.ndarray) -> None:
        self.begun.set()
        assert self.go_on.wait(10)
        self.shown.append(frame.index)

    def close(self) -> None:
        self.closed = True


class BrokenSink(SlowSink):
    def show(self, frame: PlayedFrame, picture: np.ndarray) -> None:
        raise DataError("the disk is full")


@pytest.fixture(scope="module")
def frames() -> list[PlayedFrame]:
    drive = BoxDrive(speed_mps=0.0, n_samples=4)
    played: list[PlayedFrame] = []
    Player(OracleBackend(drive)).play(drive, PlaybackOptions(rate=0.0), played.append)
    return played


def test_a_slow_sink_skips_to_the_newest(frames: list[PlayedFrame]) -> None:
    sink = SlowSink()
    with Presenter([sink], keep_all=False) as presenter:
        presenter.show(frames[0])
        assert sink.begun.wait(10)
        for frame in frames[1:]:
            presenter.show(frame)  # returns at once, though the sink still holds the first
        sink.go_on.set()
    assert sink.shown == [0, 3]
    assert presenter.n_skipped == 2
    assert sink.closed


def test_all_are_kept_when_asked(frames: list[PlayedFrame]) -> None:
    sink = SlowSink()
    sink.go_on.set()
    with Presenter([sink], keep_all=True) as presenter:
        for frame in frames:
            presenter.show(frame)
    assert sink.shown == [0, 1, 2, 3]
    assert presenter.n_skipped == 0


def test_a_sinks_error_reaches_the_caller(frames: list[PlayedFrame]) -> None:
    sink = BrokenSink()
    presenter = Presenter([sink], keep_all=True)
    presenter.show(frames[0])
    with pytest.raises(DataError, match="disk is full"):
        presenter.close()
    with pytest.raises(DataError, match="disk is full"):
        presenter.show(frames[1])
    assert sink.closed
