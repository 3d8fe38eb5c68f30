from __future__ import annotations

import json
import threading
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import pytest
from box_world import BoxDrive, OracleBackend, make_rig

from surround_depth.data.sample import Sample
from surround_depth.errors import DataError
from surround_depth.frame import EncodedImage
from surround_depth.inference.backend import NetworkInputs, NetworkOutputs
from surround_depth.runtime.pacing import MonotonicClock, PlaybackOptions
from surround_depth.runtime.player import Player
from surround_depth.runtime.report import report_lines
from surround_depth.runtime.results import PlayedFrame
from surround_depth.runtime.session import play_headless, play_live

# The world stands still, so that the oracle's answer fits every sample.
DRIVE = BoxDrive(speed_mps=0.0, n_samples=3, dead=("BL",))
AS_FAST = PlaybackOptions(rate=0.0)


class HandTime:
    """A clock that only sleeping moves."""

    now_ns = 0

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def ignore(frame: PlayedFrame) -> None: ...


def test_headless_leaves_video_picture_cloud_and_report(tmp_path: Path) -> None:
    report = play_headless(OracleBackend(DRIVE), DRIVE, AS_FAST, tmp_path, source={"dataset": "box"}, every=2)
    assert {path.name for path in tmp_path.iterdir()} == {
        "mosaic.mp4", "mosaic.png", "cloud.ply", "report.json",
        "frame_0000.png", "cloud_0000.ply", "frame_0002.png", "cloud_0002.ply",
    }  # fmt: skip
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["frames"] == {"played": 3, "dropped": 0, "failed": 0}
    assert written["source"] == {"dataset": "box", "scene": "box-drive"}
    assert set(written["latency_ms"]) == {"prepare", "infer", "decode", "fuse", "total"}
    assert all(stage["count"] == 3 for stage in written["latency_ms"].values())  # the warm-up is not among them
    assert written["latency_ms"]["total"]["p50"] >= written["latency_ms"]["infer"]["p50"]
    assert written["error_lidar"]["mean"]["abs_rel"] < 0.05
    assert written["error_dense_truth"]["mean"]["abs_rel"] < 0.05
    assert written["error_lidar"]["per_camera"]["BL"]["abs_rel"] is None
    assert any("AbsRel" in line for line in report_lines(report))
    video = cv2.VideoCapture(str(tmp_path / "mosaic.mp4"))
    assert sum(1 for _ in iter(lambda: video.read()[0], False)) == 3


def test_frames_show_what_the_system_saw() -> None:
    shown: list[PlayedFrame] = []
    result = Player(OracleBackend(DRIVE)).play(DRIVE, AS_FAST, shown.append)
    assert [frame.index for frame in shown] == [0, 1, 2]
    assert "box-drive" in shown[1].title
    assert "2 / 3" in shown[1].title
    assert result.n_points == [len(frame.cloud) for frame in shown]
    assert not shown[0].depth.valid[5].any()


def test_a_rig_that_changes_midway_needs_no_new_engine() -> None:
    class Recalibrated(BoxDrive):
        def __getitem__(self, index: int):  # type: ignore[no-untyped-def]
            return BoxDrive.__getitem__(replace(self, rig=make_rig()) if index else self, index)

    backend = OracleBackend(DRIVE)
    assert Player(backend).play(Recalibrated(speed_mps=0.0, n_samples=2), AS_FAST, ignore).n_played == 2


@dataclass(frozen=True)
class Damaged(BoxDrive):
    """A drive with damaged samples: some cannot be read, of others one JPEG is cut short."""

    speed_mps: float = 0.0
    unreadable: tuple[int, ...] = ()
    truncated: tuple[int, ...] = ()

    def __getitem__(self, index: int) -> Sample:
        if index in self.unreadable:
            raise DataError(f"sample {index} is gone")
        sample = super().__getitem__(index)
        if index not in self.truncated:
            return sample
        cut = EncodedImage(b"\xff\xd8\xff", f"{index}.jpg")
        return replace(sample, frame=replace(sample.frame, images=(cut, *sample.frame.images[1:])))


def test_damaged_frames_are_left_out_and_counted() -> None:
    drive = Damaged(n_samples=6, truncated=(0, 3), unreadable=(4,))
    shown: list[int] = []
    result = Player(OracleBackend(DRIVE)).play(drive, AS_FAST, lambda frame: shown.append(frame.index))
    assert shown == [1, 2, 5]
    assert (result.n_played, result.n_dropped, result.n_failed) == (3, 0, 3)
    assert result.latency.summary()["total"].count == 3
    assert result.first_failure is not None
    assert "0.jpg" in result.first_failure


class SlowEngine(OracleBackend):
    """Answers the warm-up, then nothing until all of a drive has come; says when it was asked."""

    def __init__(self, drive: BoxDrive) -> None:
        super().__init__(drive)
        self.asked = threading.Event()
        self.all_have_come = threading.Event()

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        if self.calls:
            self.asked.set()
            assert self.all_have_come.wait(20)
        return super().infer(inputs)


def test_live_drops_what_is_overtaken_but_nothing_damaged_is_lost_unseen() -> None:
    """The engine holds the first frame until the sequence has run out: what waits then was never overtaken."""

    class Ends(Damaged):
        def __getitem__(self, index: int) -> Sample:
            if index == 1:
                assert engine.asked.wait(20)
            if index == 19:
                engine.all_have_come.set()
            return super().__getitem__(index)

    time = HandTime()
    clock = MonotonicClock(lambda: time.now_ns, time.sleep)
    engine = SlowEngine(DRIVE)
    shown: list[PlayedFrame] = []
    result = Player(engine).play(Ends(n_samples=20, unreadable=(18,)), PlaybackOptions(), shown.append, clock)
    assert shown[0].index == 0
    assert shown[-1].index == 19
    assert result.n_failed == 1
    assert result.n_played + result.n_dropped + result.n_failed == 20
    assert result.n_dropped >= 20 - 8  # at most one waits before each stage
    assert result.latency.summary()["age"].count == result.n_played


def test_live_ends_after_as_many_frames_as_were_asked_for_the_dropped_not_counted() -> None:
    shown: list[PlayedFrame] = []
    drive = BoxDrive(speed_mps=0.0, n_samples=3, period_ns=1_000_000)
    result = Player(OracleBackend(DRIVE)).play(drive, PlaybackOptions(max_frames=4, loop=True), shown.append)
    assert result.n_played == len(shown) == 4
    result = Player(OracleBackend(DRIVE)).play(drive, PlaybackOptions(0.0, max_frames=4, loop=True), shown.append)
    assert [frame.index for frame in shown[4:]] == [0, 1, 2, 0]


def test_the_report_names_the_first_failure(tmp_path: Path) -> None:
    drive = Damaged(n_samples=3, truncated=(1,))
    report = play_headless(OracleBackend(DRIVE), drive, AS_FAST, tmp_path, source={})
    assert report["frames"] == {"played": 2, "dropped": 0, "failed": 1}
    assert "1.jpg" in json.loads((tmp_path / "report.json").read_text())["first_failure"]
    assert any("1.jpg" in line for line in report_lines(report))


def test_ten_failures_in_a_row_stop_the_playback() -> None:
    damaged = {"truncated": (2, *range(4, 9)), "unreadable": tuple(range(9, 14))}
    shown: list[int] = []
    with pytest.raises(DataError, match="10 frames in a row failed, the last one with: "):
        Player(OracleBackend(DRIVE)).play(
            Damaged(n_samples=20, **damaged), AS_FAST, lambda frame: shown.append(frame.index)
        )
    assert shown == [0, 1, 3]


@pytest.mark.parametrize("damage", ["truncated", "unreadable"])
def test_a_drive_without_a_single_whole_frame_is_an_error(damage: str) -> None:
    drive = Damaged(n_samples=2, **{damage: (0, 1)})
    with pytest.raises(DataError, match=r"0\.jpg|sample 0 is gone"):
        Player(OracleBackend(DRIVE)).play(drive, AS_FAST, ignore)


def test_what_a_screen_raises_is_no_damaged_frame() -> None:
    def full_disk(frame: PlayedFrame) -> None:
        raise DataError("the disk is full")

    with pytest.raises(DataError, match="disk is full"):
        Player(OracleBackend(DRIVE)).play(DRIVE, AS_FAST, full_disk)


def test_live_announces_its_page_before_it_plays() -> None:
    pages: list[bytes] = []

    def announce(url: str) -> None:
        assert url.startswith("http://127.0.0.1:")
        pages.append(urllib.request.urlopen(url, timeout=10).read())

    report = play_live(OracleBackend(DRIVE), DRIVE, PlaybackOptions(), source={}, announce=announce)
    assert report["frames"]["played"] + report["frames"]["dropped"] == 3
    assert b"/stream" in pages[0]
