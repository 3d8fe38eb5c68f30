from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from box_world import BoxDrive, OracleBackend, make_rig

from surround_depth.errors import ConfigError
from surround_depth.runtime.live_page import LivePage
from surround_depth.runtime.pacing import PlaybackOptions
from surround_depth.runtime.player import Player
from surround_depth.runtime.results import PlayedFrame


@pytest.fixture
def page() -> Iterator[LivePage]:
    page = LivePage()
    yield page
    page.close()


def status(url: str, **headers: str) -> int:
    try:
        return int(urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_page_answers_and_nothing_else_does(page: LivePage) -> None:
    assert status(page.url) == 200
    assert status(page.url + "../../etc/passwd") == 404
    assert status(page.url + "anything") == 404


def test_a_foreign_name_for_this_address_is_refused(page: LivePage) -> None:
    assert status(page.url, Host="evil.example:8080") == 403
    assert status(page.url, Host="localhost:1") == 200


def test_a_taken_port_is_said(page: LivePage) -> None:
    port = int(page.url.rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(ConfigError, match=f"port {port}"):
        LivePage(port)


def test_the_stream_carries_the_newest_mosaic(page: LivePage) -> None:
    drive = BoxDrive(rig=make_rig(("F",)), speed_mps=0.0, n_samples=1)
    frames: list[PlayedFrame] = []
    Player(OracleBackend(drive)).play(drive, PlaybackOptions(rate=0.0), frames.append)
    picture = np.full((64, 96, 3), (200, 100, 50), np.uint8)
    page.show(frames[0], np.zeros_like(picture))
    page.show(frames[0], picture)
    with urllib.request.urlopen(page.url + "stream", timeout=10) as stream:
        head = [stream.readline() for _ in range(4)]
        jpeg = stream.read(int(head[2].split(b":")[1]))
    received = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(received.astype(int) - picture).max() < 5
