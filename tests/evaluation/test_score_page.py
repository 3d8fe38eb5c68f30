"""What the page shows comes from the records: the order of frames, the drives' errors, the curves."""

from __future__ import annotations

import math

import pytest
from hand_scores import drives, record, report

from surround_depth.evaluation.prediction import Prediction
from surround_depth.evaluation.protocol_run import Evaluator
from surround_depth.evaluation.score_page import (
    charts,
    drive_errors,
    ranked_frames,
    reliability_curve,
    score_page,
    share_below,
)
from surround_depth.frame import SurroundFrame
from surround_depth.metrics.protocols import protocol
from surround_depth.metrics.records import Record


def test_frames_and_drives_by_error() -> None:
    records = [*drives(), record(8, "A", math.nan), record(3, "A", 9.0, "median")]
    assert ranked_frames(records) == [6, 7, 4, 5, 2, 3, 0, 1]
    assert list(drive_errors(records).items()) == [
        ("d3", pytest.approx(0.6)), ("d2", pytest.approx(0.45)), ("d1", pytest.approx(0.3)), ("d0", pytest.approx(0.15))
    ]  # fmt: skip
    shares = share_below([record(i, "A", 0.1 * i) for i in range(100)], "metric")
    assert len(shares) == 98
    assert shares[49] == (pytest.approx(4.9), 0.5)


def test_a_page_of_nothing_says_so() -> None:
    """Every image empty, as with LiDAR that no camera sees: no number is invented."""
    empty = report([record(i, "A", math.nan, coverage=math.nan) for i in range(3)])
    page = score_page(empty, Evaluator(_never, protocol("strict"), "nuscenes"), [])
    assert '<div class="tile"><b>–</b><span>AbsRel, metric</span></div>' in page
    assert "nan" not in page
    assert "3 of 3 images have no scored pixel" in page


def _never(frame: SurroundFrame) -> Prediction:
    raise AssertionError("no frame is to be shown")


def test_charts_show_the_records() -> None:
    texts = " ".join(svg for _, svg in charts(report([*drives(), record(0, "A", 0.125, "band 0-10 m")])))
    assert ">0.125<" in texts  # the band
    assert ">0.600<" in texts  # the worst drive
    assert ">0.250<" in texts  # camera A


def test_reliability_is_pooled_by_pixels() -> None:
    def bin_of(index: int, confidence: float, hit_rate: float, n_pixels: int, name: str = "0.9-1.0") -> Record:
        values = {"confidence": confidence, "hit_rate": hit_rate}
        return Record("d", "f", index, "", f"reliability {name}", values, n_pixels)

    records = [bin_of(0, 0.9, 0.5, 1), bin_of(1, 1.0, 1.0, 3), bin_of(0, math.nan, math.nan, 0, "0.0-0.1")]
    assert reliability_curve(records) == [(pytest.approx(0.975), pytest.approx(0.875))]
