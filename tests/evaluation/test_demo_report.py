"""The demo judges itself: the numbers of the report, its targets, and a page for them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from surround_depth.evaluation.demo_page import Picture
from surround_depth.evaluation.demo_report import (
    MEAN,
    MEDIAN,
    PREDICTORS,
    START,
    STUDENT,
    DemoReport,
    Drive,
    demo_page,
)
from surround_depth.frame import PointCloud
from surround_depth.metrics.depth import DepthErrors
from surround_depth.metrics.scoreboard import DepthScores


def scores(abs_rel: float) -> DepthScores:
    errors = DepthErrors(abs_rel, 1.0, 3.0, 0.2, 0.9, 0.95, 0.99, 20.0, n_pixels=10)
    return DepthScores({"CAM_FRONT": errors}, errors, coverage=1.0)


def report(student: float = 0.12, mean: float = 0.30) -> DemoReport:
    named = {STUDENT: scores(student), START: scores(0.2), MEAN: scores(mean), MEDIAN: scores(0.25)}
    return DemoReport(
        scores={"dense": named, "lidar": named},
        drive=Drive("scene-0900", "evening, parked cars", n_frames=20, n_dropped=0, rate_hz=2.0),
        latency_ms={"infer": {"p50": 30.0, "p95": 40.0, "p99": 44.0, "max": 50.0, "count": 20}},
        training={"steps": 300},
        stages_s={"render": 60.0, "distil": 125.0},
        provenance={"commit": "abc"},
    )


def test_gain_is_relative_to_the_mean() -> None:
    assert report().gain == pytest.approx(0.6)
    assert report().as_dict()["gain_over_starting_weights"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    "student, mean, met",
    [
        (0.12, 0.30, [True, True]),
        (0.15, 0.30, [False, True]),
        (0.14, 0.19, [True, False]),
        (math.nan, 0.3, [False, False]),
    ],
)
def test_targets(student: float, mean: float, met: list[bool]) -> None:
    assert [target.met for target in report(student, mean).targets()] == met


def test_report_is_json() -> None:
    tree = json.loads(json.dumps(report().as_dict(), allow_nan=False))
    assert tree["abs_rel"] == {STUDENT: 0.12, START: 0.2, MEAN: 0.3, MEDIAN: 0.25}
    assert tree["within_25_percent"] == dict.fromkeys(PREDICTORS, 0.9)
    assert tree["scores"]["dense"][STUDENT]["per_camera"]["CAM_FRONT"]["a1"] == 0.9


def test_page_shows_the_numbers() -> None:
    cloud = PointCloud(np.zeros((1, 3), np.float32), "ego", stamp_ns=1, rgb=np.zeros((1, 3), np.uint8))
    text = demo_page(report(0.16), Picture("live.mp4", "six"), (), cloud).html()
    assert "1 of 2 targets missed" in text
    assert "evening, parked cars" in text
    assert "From render to evaluation it took 3 min 5 s" in text
    assert "no evidence about real teachers" in text
    assert "per-pixel training median" in text
    assert '<a href="train/resolved.yaml">' in text
    assert "<td>40.0</td><td>-</td><td>20</td>" in text  # 20 frames have no 99th percentile
