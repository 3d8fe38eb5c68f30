"""Means over records by hand."""

from __future__ import annotations

import math

import pytest

from surround_depth.metrics.records import RIG, Record
from surround_depth.metrics.summary import summarise


def record(camera: str, value: float, *, index: int = 0, n_pixels: int = 5, group: str = "metric") -> Record:
    return Record("s", f"f{index}", index, camera, group, {"abs_rel": value}, n_pixels)


F, B = [record("F", 0.1), record("F", 0.3, index=1)], [record("B", 0.5)]
EMPTY = record("B", math.nan, index=1, n_pixels=0)


def test_units_then_cameras():
    summary = summarise([*F, *B])["metric"]
    assert summary.cameras["F"].values["abs_rel"] == pytest.approx(0.2)
    assert summary.mean.values["abs_rel"] == pytest.approx(0.35)  # not 0.3: a camera counts once
    assert (summary.mean.n_units, summary.mean.n_empty, summary.mean.n_pixels) == (3, 0, 15)


def test_empty_units_are_skipped_and_counted():
    summary = summarise([*F, *B, EMPTY, record("L", math.nan, n_pixels=0)])["metric"]
    assert summary.mean.values["abs_rel"] == pytest.approx(0.35)
    assert (summary.mean.n_units, summary.mean.n_empty) == (3, 2)
    assert (summary.cameras["L"].n_units, summary.cameras["L"].n_empty) == (0, 1)
    assert math.isnan(summary.cameras["L"].values["abs_rel"])


def test_empty_units_by_the_published_policies():
    poisoned = summarise([*F, *B, EMPTY], empty="nan")["metric"]
    assert math.isnan(poisoned.mean.values["abs_rel"])
    assert poisoned.cameras["F"].values["abs_rel"] == pytest.approx(0.2)
    marked = summarise([*F, *B, EMPTY], empty="minus_one")["metric"]
    assert marked.cameras["B"].values["abs_rel"] == pytest.approx(-0.25)
    assert marked.mean.values["abs_rel"] == pytest.approx(-0.025)


def test_moments_first():
    # Moment 0: (0.1 + 0.5) / 2, moment 1: 0.3.
    assert summarise([*F, *B], batch_first=True)["metric"].mean.values["abs_rel"] == pytest.approx(0.3)


def test_groups_keep_their_order_and_do_not_mix():
    summary = summarise([record(RIG, 2.0, group="cloud"), *F])
    assert list(summary) == ["cloud", "metric"]
    assert summary["cloud"].mean.values["abs_rel"] == 2.0


def test_a_value_that_some_units_lack_is_a_mean_of_those_that_have_it():
    lacking = Record("s", "f", 0, "F", "edges", {"abs_rel_elsewhere": 0.2, "edge_accuracy_px": math.nan}, 5)
    full = Record("s", "f", 1, "F", "edges", {"abs_rel_elsewhere": 0.4, "edge_accuracy_px": 2.0}, 5)
    values = summarise([lacking, full])["edges"].mean.values
    assert values == pytest.approx({"abs_rel_elsewhere": 0.3, "edge_accuracy_px": 2.0})


def test_json_has_no_nan():
    tree = summarise([record("L", math.nan, n_pixels=0)])["metric"].as_dict()
    assert tree["mean"]["values"] == {"abs_rel": None}
    assert tree["per_camera"]["L"] == {"values": {"abs_rel": None}, "n_units": 0, "n_empty": 1, "n_pixels": 0}
    assert summarise([]) == {}
