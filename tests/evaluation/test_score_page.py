"""What the page shows comes from the records: the order of frames, the drives' errors, the curves."""

from __future__ import annotations

import math

import pytest
from hand_scores import drives, record, report

from surround_depth.evaluation.score_page import charts, drive_errors, ranked_frames, share_below


def test_frames_and_drives_by_error() -> None:
    records = [*drives(), record(8, "A", math.nan), record(3, "A", 9.0, "median")]
    assert ranked_frames(records) == [6, 7, 4, 5, 2, 3, 0, 1]
    assert list(drive_errors(records).items()) == [
        ("d3", pytest.approx(0.6)), ("d2", pytest.approx(0.45)), ("d1", pytest.approx(0.3)), ("d0", pytest.approx(0.15))
    ]  # fmt: skip
    shares = share_below([record(i, "A", 0.1 * i) for i in range(100)], "metric")
    assert len(shares) == 98
    assert shares[49] == (pytest.approx(4.9), 0.5)


def test_charts_show_the_records() -> None:
    texts = " ".join(svg for _, svg in charts(report([*drives(), record(0, "A", 0.125, "band 0-10 m")])))
    assert ">0.125<" in texts  # the band
    assert ">0.600<" in texts  # the worst drive
    assert ">0.250<" in texts  # camera A
