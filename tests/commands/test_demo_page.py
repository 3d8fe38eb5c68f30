"""The demo page is one offline file: nothing from outside, everything escaped, misses said plainly."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.evaluation.demo_page import MAX_PAGE_POINTS, CaptionedTable, DemoPage, Picture, Target, encode_cloud
from surround_depth.evaluation.tables import Table
from surround_depth.frame import PointCloud


def cloud_of(points_m: list[list[float]]) -> PointCloud:
    points = np.array(points_m, np.float32).reshape(-1, 3)
    return PointCloud(points, "ego", stamp_ns=1, frame_id="f", rgb=np.full(points.shape, 200, np.uint8))


def page(**changes: object) -> DemoPage:
    table = Table(("camera", "AbsRel"), (("CAM_FRONT", "0.1"), ("mean", "<b>0.1</b>")), emphasised=1)
    content: dict = {
        "subtitle": "a drive",
        "tiles": {"AbsRel": "0.10"},
        "targets": (Target("AbsRel below 0.15", "0.10", met=True), Target("30 % better", "12 %", met=False)),
        "video": Picture("live/mosaic.webm", "six cameras"),
        "cloud": cloud_of([[1.0, -2.0, 0.5], [3.21, 0.0, 0.0]]),
        "cloud_caption": "one moment",
        "pictures": (Picture("pictures/a.jpg", 'say "depth" & error'),),
        "numbers": (CaptionedTable("held out", table), CaptionedTable("against LiDAR", table)),
        "times": (CaptionedTable("per frame", table),),
        "files": (Picture("train/resolved.yaml", "configuration"),),
        "provenance": CaptionedTable("made here", table),
    }
    return DemoPage(**(content | changes))


class Links(HTMLParser):
    """Collects what the page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_page_loads_only_files_beside_it() -> None:
    text = page().html()
    links = Links()
    links.feed(text)
    assert links.sources == ["live/mosaic.webm", "pictures/a.jpg", "train/resolved.yaml"]
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest|\$[a-z_]+", text)


def test_page_escapes_what_it_shows() -> None:
    text = page().html()
    assert "&lt;b&gt;0.1&lt;/b&gt;" in text
    assert "say &quot;depth&quot; &amp; error" in text


def test_page_says_what_was_missed() -> None:
    text = page().html()
    assert "1 of 2 targets missed" in text
    assert '<b class="unmet">12 %</b> (missed)' in text
    assert "every target reached" in page(targets=(Target("AbsRel", "0.1", met=True),)).html()


def test_cloud_is_int16_centimetres() -> None:
    xyz, rgb = encode_cloud(cloud_of([[1.0, -2.0, 0.5], [3.21, 0.0, 0.0], [900.0, 0.0, 0.0]]))
    assert np.frombuffer(base64.b64decode(xyz), "<i2").tolist() == [100, -200, 50, 321, 0, 0]
    assert base64.b64decode(rgb) == bytes([200]) * 6


def test_large_cloud_is_thinned() -> None:
    xyz, _ = encode_cloud(cloud_of(np.zeros((MAX_PAGE_POINTS + 1, 3)).tolist()))
    assert len(base64.b64decode(xyz)) // 6 == MAX_PAGE_POINTS // 2 + 1


def test_cloud_without_colour_is_refused() -> None:
    with pytest.raises(DataError, match="coloured cloud in the ego frame"):
        encode_cloud(PointCloud(np.zeros((1, 3), np.float32), "world", stamp_ns=1))


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.jpg", "https://example.org/a.jpg"])
def test_picture_outside_is_refused(path: str) -> None:
    with pytest.raises(DataError, match="beside it"):
        Picture(path, "")
