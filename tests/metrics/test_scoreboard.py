"""The one rule of scoring, worked by hand on a handful of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.errors import ConfigError, DataError
from surround_depth.metrics.scoreboard import DepthScores, ScoreBoard, ScoredRange, answered_depth_m

NAN = np.nan


def image(*depths_m: float) -> np.ndarray:
    return np.array([[depths_m]], np.float32)  # [1, 1, W]


def score(depth_m: np.ndarray, truth_m: np.ndarray, **limits: float) -> DepthScores:
    board = ScoreBoard(ScoredRange(**limits))
    board.add([f"C{i}" for i in range(len(truth_m))], depth_m, truth_m)
    return board.scores()


def test_hand_worked_errors_range_and_coverage() -> None:
    # Three answered, one without truth, one unanswered, one beyond 80 m, one on the near limit: neither end counts.
    depth_m = image(11.0, 18.0, 60.0, 5.0, NAN, 70.0, 1.0)
    truth_m = image(10.0, 20.0, 40.0, NAN, 7.0, 90.0, 0.5)
    result = score(depth_m, truth_m)
    errors = result.cameras["C0"]
    assert errors.abs_rel == pytest.approx(0.7 / 3)
    assert errors.rmse == pytest.approx(11.61895, abs=1e-5)
    assert errors.a1 == pytest.approx(2 / 3)
    assert (result.coverage, errors.n_pixels) == (0.75, 3)
    assert result.as_dict()["range_m"] == [0.5, 80.0]
    assert score(depth_m, truth_m, max_depth_m=15.0).cameras["C0"].n_pixels == 1


def test_predictions_are_clamped_to_the_range() -> None:
    # 120 m is scored as 80 m and 0.1 m as 0.5 m: |80 - 50| / 50 and |0.5 - 1| / 1.
    assert score(image(120.0), image(50.0)).mean.abs_rel == pytest.approx(0.6)
    assert score(image(0.1), image(1.0)).mean.abs_rel == pytest.approx(0.5)


def test_calling_a_house_sky_costs_what_calling_it_far_away_costs() -> None:
    depth_m, sky = image(9.0, NAN, NAN), np.array([[[False, True, False]]])
    answered_m = answered_depth_m(depth_m, sky, 80.0)
    np.testing.assert_array_equal(answered_m, image(9.0, 80.0, NAN))
    assert answered_m.dtype == np.float32
    result = score(answered_m, image(10.0, 20.0, 30.0))
    assert result.mean.abs_rel == pytest.approx((0.1 + 3.0) / 2)
    assert result.coverage == pytest.approx(2 / 3)


def test_images_then_cameras_count_once() -> None:
    board = ScoreBoard()
    board.add(
        ("A", "B"), np.concatenate([image(12, 12), image(20, 20)]), np.concatenate([image(10, 10), image(40, NAN)])
    )
    board.add(
        ("A", "B"), np.concatenate([image(12, 12), image(20, 20)]), np.concatenate([image(16, NAN), image(20, 20)])
    )
    result = board.scores()
    # A: 0.2 and 0.25, B: 0.5 and 0, whatever the number of pixels.
    assert result.cameras["A"].abs_rel == pytest.approx(0.225)
    assert result.cameras["B"].abs_rel == pytest.approx(0.25)
    assert result.mean.abs_rel == pytest.approx(0.2375)
    assert board.n_true == 6


def test_cameras_without_truth_do_not_count() -> None:
    result = score(np.concatenate([image(11.0), image(5.0)]), np.concatenate([image(10.0), image(NAN)]))
    assert np.isnan(result.cameras["C1"].abs_rel)
    assert result.mean.abs_rel == pytest.approx(0.1)
    empty = ScoreBoard()
    assert empty.n_true == 0
    assert np.isnan(empty.scores().coverage)


def test_refusals() -> None:
    with pytest.raises(DataError, match="cannot answer"):
        ScoreBoard().add(("A",), image(1.0, 2.0), image(1.0))
    with pytest.raises(DataError, match="cannot answer"):
        ScoreBoard().add(("A", "B"), image(1.0), image(1.0))
    for limits in ((0.0, 80.0), (5.0, 5.0), (1.0, NAN)):
        with pytest.raises(ConfigError, match="scored range"):
            ScoredRange(*limits)
