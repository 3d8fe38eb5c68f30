"""Scoring against truth worked by hand: a rig of two tiny cameras whose every number fits on paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from surround_depth.data.sample import DenseTruth, Sample
from surround_depth.errors import DataError
from surround_depth.evaluation.baseline import per_pixel_mean_m
from surround_depth.evaluation.prediction import Prediction
from surround_depth.evaluation.predictors import Planner, constant_predictor
from surround_depth.evaluation.run import samples_of, score_predictors, true_depths
from surround_depth.evaluation.score_tables import camera_table, comparison_table
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.imaging import InputSpec
from surround_depth.rig import Camera, Rig

SPEC = InputSpec(height_px=32, width_px=32)
# x right, y down, z forward in the camera; x forward, y left, z up in the ego frame.
FORWARD = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])


def rig() -> Rig:
    K = np.array([[64.0, 0, 31.5], [0, 64, 31.5], [0, 0, 1]])
    own_body = np.zeros((64, 64), bool)
    own_body[60:] = True
    backward = FORWARD.copy()
    backward[:2, :3] *= -1.0
    return Rig("two", (Camera("A", 64, 64, K, FORWARD, own_body=own_body), Camera("B", 64, 64, K, backward)))


def sample(truth_a_m: float, truth_b_m: float, *, lidar: PointCloud | None = None) -> Sample:
    frame = SurroundFrame(
        frame_id="f",
        rig=rig(),
        images=tuple(np.zeros((64, 64, 3), np.uint8) for _ in range(2)),
        stamps_ns=np.array([10, 11]),
        T_world_ego=np.stack([np.eye(4)] * 2),
        camera_valid=np.ones(2, bool),
    )
    depth_m = tuple(np.full((64, 64), value, np.float32) for value in (truth_a_m, truth_b_m))
    return Sample(frame, lidar, DenseTruth(depth_m, tuple(np.isnan(values) for values in depth_m)))


def constant(a_m: float, b_m: float) -> np.ndarray:
    return np.stack([np.full((32, 32), a_m, np.float32), np.full((32, 32), b_m, np.float32)])


def test_mean_over_images_then_cameras() -> None:
    # A: |12-10|/10 = 0.2 and |12-16|/16 = 0.25; B: |20-40|/40 = 0.5 and |20-20|/20 = 0.
    scores = score_predictors([sample(10, 40), sample(16, 20)], {"p": constant_predictor(constant(12, 20), SPEC)}, SPEC)
    result = scores["dense"]["p"]
    assert result.cameras["A"].abs_rel == pytest.approx(0.225)
    assert result.cameras["B"].abs_rel == pytest.approx(0.25)
    assert result.mean.abs_rel == pytest.approx(0.2375)
    assert result.coverage == 1.0
    (row,) = comparison_table(scores["dense"]).rows
    assert (row[0], row[1], row[-1]) == ("p", "0.238", "100.0%")
    assert [row[:2] for row in camera_table(result).rows] == [("A", "0.225"), ("B", "0.250"), ("mean", "0.238")]


def test_truth_outside_the_range_does_not_count() -> None:
    scores = score_predictors(
        [sample(10, 80.0), sample(10, 79.0)], {"p": constant_predictor(constant(10, 79), SPEC)}, SPEC
    )
    assert scores["dense"]["p"].cameras["B"].n_pixels == 32 * 32


def test_unanswered_pixels_are_confessed() -> None:
    holes = constant(10, 20)
    holes[1, :16] = np.nan
    result = score_predictors([sample(10, 20)], {"p": constant_predictor(holes, SPEC)}, SPEC)["dense"]["p"]
    # A has 30 rows that are not own body, B has 32 of which half are answered.
    assert result.coverage == pytest.approx((30 + 16) / (30 + 32))


def test_baseline_from_training_frames() -> None:
    training = [sample(10, 20), sample(20, 40)]
    mean_m = per_pixel_mean_m(true_depths(training, SPEC))
    np.testing.assert_allclose(mean_m[0, :30], 15.0)
    np.testing.assert_allclose(mean_m[1], 30.0)


def test_no_truth_is_refused() -> None:
    blind = replace(sample(1, 1), truth=None)
    with pytest.raises(DataError, match="nothing to score"):
        score_predictors([blind], {"p": constant_predictor(constant(1, 1), SPEC)}, SPEC)


def test_scenes_may_have_different_cameras() -> None:
    other = sample(10, 20)
    only_b = replace(
        other,
        frame=SurroundFrame("g", rig().select(("B",)), other.frame.images[1:], np.array([11]), None, np.ones(1, bool)),
        truth=DenseTruth(other.truth.depth_m[1:], other.truth.sky[1:]),
    )

    def predict(frame: SurroundFrame) -> Prediction:
        return constant_predictor(constant(10, 10)[: len(frame.rig)], SPEC)(frame)

    scores = score_predictors([sample(10, 20), only_b], {"p": predict}, SPEC)["dense"]["p"]
    # B: |10-20|/20 = 0.5 in both images.
    assert scores.cameras["B"].abs_rel == pytest.approx(0.5)
    assert scores.cameras["B"].n_pixels == 2 * 32 * 32
    with pytest.raises(DataError, match="cannot answer"):
        score_predictors([only_b], {"p": constant_predictor(constant(1, 1), SPEC)}, SPEC)


def test_plans_are_made_once_per_calibration() -> None:
    planner = Planner(SPEC)
    assert planner.plans(rig()) is planner.plans(rig())


class Frames:
    """A sequence of numbers standing for samples."""

    name = "numbers"

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> int:
        return index


def test_stride_takes_every_nth_sample() -> None:
    assert list(samples_of([Frames(), Frames()], stride=2)) == [0, 2, 4, 0, 2, 4]  # type: ignore[list-item]
