"""The order of means and the policy for empty units, worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from surround_depth.metrics.protocol_means import protocol_means
from surround_depth.metrics.protocols import protocol
from surround_depth.metrics.records import RIG, Record

NAN = float("nan")


def record(index: int, camera: str, abs_rel: float, n_pixels: int = 10, group: str = "metric") -> Record:
    return Record("scene", f"f{index}", index, camera, group, {"abs_rel": abs_rel}, n_pixels)


# Camera A: 0.2 and 0.4; camera B has nothing at the first moment, 1.0 at the second.
LOPSIDED = [record(0, "A", 0.2), record(0, "B", NAN, 0), record(1, "A", 0.4), record(1, "B", 1.0)]


def test_units_then_cameras_and_the_reverse_differ_once_a_unit_is_empty() -> None:
    skip = replace(protocol("strict"), batch_first=False)
    assert protocol_means(LOPSIDED, skip)["metric"].mean["abs_rel"] == pytest.approx((0.3 + 1.0) / 2)
    reverse = replace(skip, batch_first=True)
    assert protocol_means(LOPSIDED, reverse)["metric"].mean["abs_rel"] == pytest.approx((0.2 + 0.7) / 2)
    assert protocol_means(LOPSIDED, reverse)["metric"].cameras["B"]["abs_rel"] == 1.0


def test_an_empty_unit_poisons_surround_depths_mean_and_is_counted_in_ours() -> None:
    sd = protocol_means(LOPSIDED, protocol("sd"))["metric"]
    assert math.isnan(sd.mean["abs_rel"])
    assert math.isnan(sd.cameras["B"]["abs_rel"])
    assert sd.cameras["A"]["abs_rel"] == pytest.approx(0.3)
    ours = protocol_means(LOPSIDED, protocol("strict"))["metric"]
    assert (ours.n_units, ours.n_empty, ours.n_pixels) == (4, 1, 30)
    assert ours.as_dict()["mean"] == {"abs_rel": pytest.approx(0.65)}
    assert sd.as_dict()["mean"] == {"abs_rel": None}


def test_minus_one_stays_in_vidars_mean_and_images_without_any_truth_do_not() -> None:
    rows = [record(0, "A", 0.5), record(1, "A", -1.0, 0), record(2, "A", NAN, 0)]
    assert protocol_means(rows, protocol("vi"))["metric"].mean["abs_rel"] == pytest.approx(-0.25)


def test_other_groups_leave_empty_units_out_whatever_the_protocol() -> None:
    rows = [record(0, RIG, 0.5, group="cloud"), record(1, RIG, NAN, 0, group="cloud")]
    means = protocol_means([*LOPSIDED, *rows], protocol("sd"))
    assert list(means) == ["metric", "cloud"]
    assert means["cloud"].mean["abs_rel"] == 0.5
    assert means["cloud"].n_empty == 1


def test_a_camera_without_any_unit_does_not_count() -> None:
    rows = [record(0, "A", 0.2), record(0, "B", NAN, 0)]
    assert protocol_means(rows, protocol("strict"))["metric"].mean["abs_rel"] == pytest.approx(0.2)


def test_a_camera_that_answers_nothing_counts_in_what_is_answered() -> None:
    """Two cameras, one of them silent: half of the truth is answered, whatever the errors of the other."""
    rows = [record(0, "A", 0.2), record(0, "B", NAN, 0)]
    rows = [replace(r, values=dict(r.values) | {"coverage": c}) for r, c in zip(rows, (1.0, 0.0), strict=True)]
    for name in ("strict", "vf"):
        assert protocol_means(rows, protocol(name))["metric"].mean["coverage"] == pytest.approx(0.5)


def test_overlaps_are_pooled_and_averaged_in_the_protocols_order() -> None:
    rows = [replace(r, group="overlap") for r in LOPSIDED]
    assert protocol_means(rows, protocol("cv"))["overlap"].mean["abs_rel"] == pytest.approx((0.2 + 0.7) / 2)
    assert protocol_means(rows, protocol("sd"))["overlap"].mean["abs_rel"] == pytest.approx((0.3 + 1.0) / 2)


def test_silence_does_not_drop_out_of_the_coverage_together_with_its_errors() -> None:
    rows = [record(0, "A", 0.2), record(1, "A", NAN, 0)]
    rows = [replace(r, values=dict(r.values) | {"coverage": c}) for r, c in zip(rows, (0.9, 0.0), strict=True)]
    assert protocol_means(rows, protocol("strict"))["metric"].mean["coverage"] == pytest.approx(0.45)
    assert protocol_means(rows, protocol("strict"))["metric"].mean["abs_rel"] == pytest.approx(0.2)


def test_a_value_that_one_unit_lacks_is_the_mean_of_the_others() -> None:
    """A cloud with truth and no prediction has a recall of 0 and no accuracy at all."""
    full = replace(record(0, RIG, 0.0, group="cloud"), values={"accuracy_mean_m": 0.4, "recall_1m": 0.8})
    silent = replace(record(1, RIG, 0.0, group="cloud"), values={"accuracy_mean_m": NAN, "recall_1m": 0.0})
    mean = protocol_means([full, silent], protocol("strict"))["cloud"].mean
    assert mean == {"accuracy_mean_m": pytest.approx(0.4), "recall_1m": pytest.approx(0.4)}
