"""The scoring rules of every profile, worked by hand on a handful of numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from surround_depth.metrics.compare import Pairs, UnitScore, median_factor, score_unit_batch
from surround_depth.metrics.protocols import PROTOCOLS, Protocol, protocol
from surround_depth.metrics.scoreboard import ScoredRange

NAN = float("nan")
RANGE = ScoredRange(0.1, 80.0)


def pairs(truth_m: list[float], answer_m: list[float]) -> Pairs:
    return Pairs(np.array(truth_m, np.float32), np.array(answer_m, np.float32))


def by_group(scores: list[UnitScore], camera: str = "A") -> dict[str, UnitScore]:
    return {score.group: score for score in scores if score.camera == camera}


def one(name: str, image: Pairs, **changes: object) -> dict[str, UnitScore]:
    return by_group(score_unit_batch(["A"], [[image]], replace(protocol(name), **changes), RANGE))  # type: ignore[arg-type]


def test_even_and_odd_counts_separate_the_two_medians() -> None:
    truth_m, answer_m = np.array([2.0, 4.0, 8.0, 10.0], np.float32), np.array([1.0, 2.0, 6.0, 8.0], np.float32)
    assert median_factor(truth_m, answer_m, lower=False) == pytest.approx(6.0 / 4.0)
    assert median_factor(truth_m, answer_m, lower=True) == pytest.approx(4.0 / 2.0)
    assert float(torch.from_numpy(truth_m).median() / torch.from_numpy(answer_m).median()) == 2.0
    assert median_factor(truth_m[:3], answer_m[:3], lower=False) == median_factor(truth_m[:3], answer_m[:3], lower=True)


def test_surround_depth_takes_its_median_before_it_clamps() -> None:
    """Answers 40, 100, 200 for 20, 50, 70: factor 0.5, then 20, 50, 100 -> 80. Clamped first it would be 50 / 80."""
    image = pairs([20.0, 50.0, 70.0], [40.0, 100.0, 200.0])
    sd = one("sd", image)
    assert sd["median"].ratio == pytest.approx(0.5)
    assert sd["median"].errors.abs_rel == pytest.approx((10.0 / 70.0) / 3)
    # metric: 40, 80, 80
    assert sd["metric"].errors.abs_rel == pytest.approx((1.0 + 30.0 / 50.0 + 10.0 / 70.0) / 3)
    vf = one("vf", image)
    assert vf["median"].ratio == pytest.approx(50.0 / 80.0)
    # 40, 80, 80 times 0.625 = 25, 50, 50
    assert vf["median"].errors.abs_rel == pytest.approx((0.25 + 0.0 + 20.0 / 70.0) / 3)


def test_four_images_of_a_camera_are_one_unit_of_vfdepth() -> None:
    """Pixels count alike: 0.5 twice and 0 once is 1/3; image by image it would be (0.5 + 0) / 2."""
    batch = [[pairs([10.0, 10.0], [15.0, 15.0])], [pairs([10.0], [10.0])]]
    (metric,) = [s for s in score_unit_batch(["A"], batch, protocol("vf"), RANGE) if s.group == "metric"]
    assert metric.errors.abs_rel == pytest.approx(1.0 / 3.0)
    assert metric.errors.n_pixels == 3
    # pooled lower medians: 10 / 15 for all three
    median = by_group(score_unit_batch(["A"], batch, protocol("vf"), RANGE))["median"]
    assert median.ratio == pytest.approx(10.0 / 15.0)


def test_one_factor_for_the_rig_is_the_mean_over_its_cameras() -> None:
    """Cameras off by 2 and by 1: shared 0.75, so both end off by 1.5 and 0.75; per image both would be right."""
    moment = [pairs([10.0], [20.0]), pairs([10.0], [10.0])]
    scores = score_unit_batch(["A", "B"], [moment], protocol("sd"), RANGE)
    assert by_group(scores)["shared"].ratio == pytest.approx(0.75)
    assert by_group(scores)["shared"].errors.abs_rel == pytest.approx(0.5)
    assert by_group(scores, "B")["shared"].errors.abs_rel == pytest.approx(0.25)
    assert by_group(scores)["median"].errors.abs_rel == pytest.approx(0.0)


def test_both_ends_of_the_range_are_excluded() -> None:
    image = pairs([0.1, 0.2, 79.0, 80.0, NAN], [9.0, 0.2, 79.0, 9.0, 9.0])
    assert one("sd", image)["metric"].errors.n_pixels == 2
    assert one("sd", image)["metric"].errors.abs_rel == pytest.approx(0.0)


def test_answers_that_are_not_there_lower_the_coverage_not_the_error() -> None:
    score = one("strict", pairs([10.0, 20.0, 30.0, NAN], [11.0, NAN, 30.0, 5.0]))["metric"]
    assert score.coverage == pytest.approx(2 / 3)
    assert score.errors.abs_rel == pytest.approx(0.05)


def test_r3_leaves_out_answers_that_are_not_positive() -> None:
    image = pairs([10.0, 10.0], [12.0, -1.0])
    assert one("r3", image)["metric"].errors.abs_rel == pytest.approx(0.2)
    assert one("vi", image)["metric"].errors.abs_rel == pytest.approx((0.2 + 0.99) / 2)  # clamped to 0.1
    assert "median" not in one("r3", image)


def test_empty_images_follow_the_stated_policy() -> None:
    nothing, out_of_range = pairs([NAN], [5.0]), pairs([90.0], [5.0])
    for name, policy in (("sd", "nan"), ("vf", "nan"), ("vi", "minus_one"), ("strict", "skip"), ("r3", "minus_one")):
        assert protocol(name).empty == policy
    assert one("vi", out_of_range)["metric"].errors.abs_rel == -1.0
    assert one("vi", out_of_range)["metric"].errors.a1 == -1.0
    for image, name in ((nothing, "vi"), (nothing, "sd"), (out_of_range, "sd"), (nothing, "strict")):
        score = one(name, image)["metric"]
        assert np.isnan(score.errors.abs_rel)
        assert score.errors.n_pixels == 0


def test_truth_that_nobody_answered_is_no_minus_one() -> None:
    """vidar counts -1 for truth out of range; silence about truth in range is told by the coverage."""
    for name in ("vi", "r3"):
        silent = one(name, pairs([10.0, 90.0], [NAN, 5.0]))["metric"]
        assert np.isnan(silent.errors.abs_rel)
        assert (silent.errors.n_pixels, silent.coverage) == (0, 0.0)
        assert one(name, pairs([90.0], [NAN]))["metric"].errors.abs_rel == -1.0


def test_a_median_answer_of_zero_takes_no_pixel_out() -> None:
    """The factor is infinite: what is zero stays zero and is clamped near, the rest is clamped far. By hand, range 0.1
    to 80: zeros give (9.9, 19.9) / (10, 20), 5 m becomes 80 m for 40."""
    score = one("sd", pairs([10.0, 20.0, 40.0], [0.0, 0.0, 5.0]))["median"]
    assert (score.errors.n_pixels, score.ratio) == (3, float("inf"))
    assert score.errors.abs_rel == pytest.approx((0.99 + 0.995 + 1.0) / 3)


def test_an_empty_camera_does_not_move_the_shared_factor() -> None:
    moment = [pairs([10.0], [20.0]), pairs([NAN], [3.0])]
    assert by_group(score_unit_batch(["A", "B"], [moment], protocol("sd"), RANGE))["shared"].ratio == pytest.approx(0.5)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_scaling_the_answers_leaves_medians_unchanged(name: str) -> None:
    """Wherever no clamp comes before the median; and a perfect answer has no error anywhere."""
    rng = np.random.default_rng(3)
    truth_m = rng.uniform(2.0, 30.0, 101).astype(np.float32)
    answer_m = (truth_m * rng.uniform(0.8, 1.2, 101)).astype(np.float32)
    rule: Protocol = protocol(name)
    once = by_group(score_unit_batch(["A"], [[Pairs(truth_m, answer_m)]], rule, RANGE))
    twice = by_group(score_unit_batch(["A"], [[Pairs(truth_m, answer_m * np.float32(2.0))]], rule, RANGE))
    groups = {"shared"} | ({"median"} if rule.median != "none" else set())
    for group in groups:
        assert twice[group].errors.abs_rel == pytest.approx(once[group].errors.abs_rel, rel=1e-5)
    assert twice["metric"].errors.abs_rel > 2 * once["metric"].errors.abs_rel
    perfect = by_group(score_unit_batch(["A"], [[Pairs(truth_m, truth_m)]], rule, RANGE))
    for score in perfect.values():
        assert (score.errors.abs_rel, score.errors.rmse, score.errors.a1, score.coverage) == (0.0, 0.0, 1.0, 1.0)
