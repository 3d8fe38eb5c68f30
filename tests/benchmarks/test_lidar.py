"""The LiDAR benchmark: it compares like with like, and says so where the two disagree."""

from __future__ import annotations

import numpy as np
import pytest
from box_world import make_rig

from surround_depth.benchmarks import lidar, lidar_numpy
from surround_depth.benchmarks.report import Table
from surround_depth.data.lidar_tracks import Tracks
from surround_depth.data.sample import Box
from surround_depth.errors import ConfigError, DataError
from surround_depth.geometry import rigid


def test_every_task_is_timed_and_told():
    timings = lidar.measure(make_rig(("F", "B")), repeats=1)
    assert len(lidar.street_sweep(0)) == 34688
    assert [timing.numpy_ms is None for timing in timings] == [False, False, False, False, True] * 2 + [
        False,
        True,
        False,
    ]
    report = lidar.lidar_report(timings, make_rig(("F", "B")), 1)
    table = report.blocks[0]
    assert isinstance(table, Table)
    assert [len(row) for row in table.rows] == [4] * len(timings)
    assert [row[2] == "" for row in table.rows] == [timing.numpy_ms is None for timing in timings]
    assert report.figures["timings"][0]["ratio"] == pytest.approx(timings[0].numpy_ms / timings[0].kernel_ms)


def test_nothing_is_not_measured():
    with pytest.raises(ConfigError, match="--repeats is 0"):
        lidar.measure(make_rig(("F",)), repeats=0)


def test_a_disagreement_is_not_timed(monkeypatch):
    monkeypatch.setattr(lidar_numpy, "rasterise", lambda points, T, K, h, w, rule: np.zeros((h, w), np.float32))
    with pytest.raises(DataError, match="depth maps by sd: the kernel and numpy disagree"):
        lidar.measure(make_rig(("F",)), repeats=1)


def test_boxes_hold_the_same_points_as_in_numpy():
    rng = np.random.default_rng(0)
    turned = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    boxes = [Box(rigid(turned, rng.uniform(-10, 10, 3)), (6.0, 3.0, 2.0), "car", str(i), 1) for i in range(8)]
    moving, points_m = Tracks(boxes).at(1), rng.uniform(-12, 12, (5000, 3)).astype(np.float32)
    held = moving.holds(points_m, rigid(turned, (1.0, 2.0, 0.0)))
    np.testing.assert_array_equal(held, lidar_numpy.in_any_box(moving, points_m, rigid(turned, (1.0, 2.0, 0.0))))
    assert 50 < held.sum() < 2500
