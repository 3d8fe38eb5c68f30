from __future__ import annotations

import json
import urllib.request
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from box_world import BoxDrive, OracleBackend, make_rig

from surround_depth.errors import DataError
from surround_depth.runtime.pacing import PlaybackOptions
from surround_depth.runtime.player import PlayedFrame, Player
from surround_depth.runtime.report import report_lines
from surround_depth.runtime.session import play_headless, play_live

# The world stands still, so that the oracle's answer fits every sample.
DRIVE = BoxDrive(speed_mps=0.0, n_samples=3, dead=("BL",))
AS_FAST = PlaybackOptions(rate=0.0)


def ignore(frame: PlayedFrame) -> None: ...


def test_headless_leaves_video_picture_cloud_and_report(tmp_path: Path) -> None:
    report = play_headless(OracleBackend(DRIVE), DRIVE, AS_FAST, tmp_path, source={"dataset": "box"}, every=2)
    assert {path.name for path in tmp_path.iterdir()} == {
        "mosaic.mp4", "mosaic.png", "cloud.ply", "report.json",
        "frame_0000.png", "cloud_0000.ply", "frame_0002.png", "cloud_0002.ply",
    }  # fmt: skip
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["frames"] == {"played": 3, "dropped": 0}
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


def test_a_damaged_recording_stops_with_its_reason(tmp_path: Path) -> None:
    class Damaged(BoxDrive):
        def __getitem__(self, index: int):  # type: ignore[no-untyped-def]
            if index == 1:
                raise DataError("image 1 is truncated")
            return super().__getitem__(index)

    with pytest.raises(DataError, match="truncated"):
        play_headless(OracleBackend(DRIVE), Damaged(speed_mps=0.0, n_samples=2), AS_FAST, tmp_path, source={})


def test_live_announces_its_page_before_it_plays() -> None:
    pages: list[bytes] = []

    def announce(url: str) -> None:
        assert url.startswith("http://127.0.0.1:")
        pages.append(urllib.request.urlopen(url, timeout=10).read())

    report = play_live(OracleBackend(DRIVE), DRIVE, PlaybackOptions(), source={}, announce=announce)
    assert report["frames"]["played"] + report["frames"]["dropped"] == 3
    assert b"/stream" in pages[0]
