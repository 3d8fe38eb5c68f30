"""Validation over data sets of other rigs: each beside its own baseline, and by the rule of evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from box_world import BoxDrive, make_rig
from flat_road import FakeSequence

from surround_depth.data.sample import Sample
from surround_depth.imaging import InputSpec
from surround_depth.metrics.scoreboard import ScoreBoard
from surround_depth.models.student import Student
from surround_depth.training import validation as validation_module
from surround_depth.training.config import DataSetConfig, StudentChoice
from surround_depth.training.drives import Drives, DriveSet
from surround_depth.training.held_out import ValidationSet, validation_sets
from surround_depth.training.prepared import PreparedSample
from surround_depth.training.samples import SamplePreparer, SampleStore
from surround_depth.training.validation import validate

torch.set_num_threads(1)

PREPARER = SamplePreparer(InputSpec(height_px=64, width_px=96), None)
FIVE = make_rig(("FL", "F", "FR", "BR", "BL"))


class Blind:
    """A drive without LiDAR and without exact depth."""

    name = "blind"

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        return replace(FakeSequence()[index], lidar=None, truth=None)


def drives(*sequences: Any) -> Drives:
    data: Any = None
    config = DataSetConfig(root="r")
    return Drives(tuple(DriveSet(f"set{i}", config, data, data, (s,), (s,)) for i, s in enumerate(sequences)))


def mean_m(maps: Iterable[np.ndarray]) -> np.ndarray:
    return np.mean(list(maps), axis=0)


def test_every_set_has_its_share_of_samples_and_a_baseline_of_its_own_rig() -> None:
    five = BoxDrive(rig=FIVE)
    road, box, blind = validation_sets(drives(FakeSequence(), five, Blind()), PREPARER, mean_m, 5, cache=False)
    assert [len(one.indices) for one in (road, box, blind)] == [2, 2, 1]
    assert box.indices == (0, 4)
    assert road.baseline_m is not None
    assert box.baseline_m is not None
    # the road is the same in every sample; its exact depth comes before LiDAR
    np.testing.assert_allclose(road.baseline_m, road.store.truths_m(0)["dense"], rtol=1e-6)
    assert len(box.baseline_m) == 5
    assert blind.baseline_m is None


def test_errors_are_means_over_all_cameras_and_of_each_set_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(student: Any, sample: PreparedSample) -> validation_module._Answer:
        drive, factor = (FakeSequence(), 1.1) if len(sample.images) == 3 else (BoxDrive(rig=FIVE), 1.3)
        index = int(sample.sample_id.split("/")[1])
        truth_m = PREPARER.truths_m(drive[index])["dense"]
        depth_m = factor * np.nan_to_num(truth_m, nan=1.0)
        return validation_module._Answer(depth_m, np.full_like(truth_m, 0.75), (None, None))

    monkeypatch.setattr(validation_module, "_predict", predict)
    sets = validation_sets(drives(FakeSequence(), BoxDrive(rig=FIVE)), PREPARER, mean_m, 2, cache=False)
    found, example = validate(Student(StudentChoice().resolve()), sets)
    assert found.abs_rel_of_sets == pytest.approx({"set0": 0.1, "set1": 0.3}, rel=1e-4)
    assert found.dense.abs_rel == pytest.approx((3 * 0.1 + 5 * 0.3) / 8, rel=1e-4)
    assert found.headline == found.dense.abs_rel
    n_road, n_box = (int(np.isfinite(one.store.truths_m(0)["dense"]).sum()) for one in sets)
    # 1.1 lies within 25 %, 1.3 does not
    assert found.mean_confidence_gap == pytest.approx(abs(n_road / (n_road + n_box) - 0.75), abs=0.02)
    assert example.sample.sample_id == "fake-0/0"


def test_a_set_is_scored_by_the_rule_of_evaluation() -> None:
    store = SampleStore([FakeSequence()], PREPARER, cache=False)
    truths_m = store.truths_m(0)
    perfect_m = np.nan_to_num(truths_m["lidar"], nan=1.0)
    student = Student(StudentChoice().resolve()).eval()
    found, example = validate(student, (ValidationSet("data", store, (0,), perfect_m),))
    assert found.baseline_lidar.abs_rel == 0.0
    board = ScoreBoard()
    board.add("abc", example.depth_m, truths_m["dense"])
    assert found.dense == board.scores().mean
    assert 0.0 <= found.mean_confidence_gap <= 1.0


def test_drives_without_truth_are_looked_at_and_not_scored() -> None:
    (one,) = validation_sets(drives(Blind()), PREPARER, mean_m, 2, cache=False)
    found, example = validate(Student(StudentChoice().resolve()).eval(), (one,))
    assert np.isnan(found.headline)
    assert np.isnan(example.truth_m).all()
    assert "NaN" not in json.dumps(found.as_dict())


def test_a_baseline_is_not_held_against_another_number_of_cameras() -> None:
    sequences = (FakeSequence(), BoxDrive(rig=FIVE, n_samples=2))
    store = SampleStore(sequences, PREPARER, cache=False)
    baseline_m = np.full((3, 64, 96), 10.0, np.float32)
    student = Student(StudentChoice().resolve()).eval()
    found, _ = validate(student, (ValidationSet("data", store, (0, 3), baseline_m),))
    alone, _ = validate(student, (ValidationSet("data", store, (0,), baseline_m),))
    assert found.baseline_dense == alone.baseline_dense
    assert found.dense.n_pixels > alone.dense.n_pixels
