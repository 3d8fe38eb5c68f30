"""Everything beside depth errors, on a world of boxes that is known exactly: perfect, scaled, and wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from box_world import SPEC, BoxDrive, make_rig

from surround_depth.data.network_truth import TruthKind
from surround_depth.data.sample import Sample
from surround_depth.errors import DataError
from surround_depth.evaluation.moment import ListedSample
from surround_depth.evaluation.prediction import Prediction
from surround_depth.evaluation.protocol_run import Evaluator
from surround_depth.frame import SurroundFrame
from surround_depth.geometry import ray_grid, transform
from surround_depth.imaging import plan_images
from surround_depth.metrics.protocol_means import protocol_means
from surround_depth.metrics.protocols import protocol
from surround_depth.metrics.records import RIG, Record

DRIVE = BoxDrive(n_samples=3)
Change = Callable[[np.ndarray, int], np.ndarray]


def exact(change: Change = lambda depth_m, camera: depth_m, *, drive: BoxDrive = DRIVE, sure: float = 1.0) -> Callable:
    """Return a predictor that knows the world at network size and then changes it; sky is answered with 80 m."""

    def predict(frame: SurroundFrame) -> Prediction:
        plans = plan_images(frame.rig, SPEC)
        assert frame.T_world_ego is not None
        exact_m = [
            np.nan_to_num(drive.world.depth_m(c, T), nan=80.0)
            for c, T in zip(plans.network_rig.cameras, frame.T_world_ego, strict=True)
        ]
        grids = tuple(change(depth_m, i).astype(np.float32) for i, depth_m in enumerate(exact_m))
        confidence = tuple(np.full(grid.shape, sure, np.float32) for grid in grids)
        return Prediction(grids, tuple(plan.window for plan in plans.plans), confidence)

    return predict


def records(
    predict: Callable,
    name: str = "strict",
    kind: TruthKind = "dense",
    drive: BoxDrive = DRIVE,
    dataset: str = "nuscenes",
) -> list[Record]:
    evaluator = Evaluator(predict, protocol(name), dataset, kind=kind)
    return [
        record
        for i in range(len(drive))
        for record in evaluator.score((ListedSample(i, drive, i, follows=i > 0),)).records
    ]


def means(found: Iterable[Record], name: str = "strict") -> dict[str, dict[str, float]]:
    return {group: dict(m.mean) for group, m in protocol_means(found, protocol(name)).items()}


@pytest.fixture(scope="module")
def perfect() -> dict[str, dict[str, float]]:
    return means(records(exact()))


def test_a_perfect_answer_is_perfect_in_every_measure(perfect: dict[str, dict[str, float]]) -> None:
    """Up to what bilinear reading between a quarter of the pixels costs."""
    assert perfect["metric"]["abs_rel"] < 0.02
    assert perfect["overlap"]["abs_rel"] < 0.025
    # nearest pixels of another camera: half a pixel of a quarter-size grid
    assert perfect["consistency+"]["abs_rel"] < 0.04
    # a grid of 64 x 96 has a point every half metre at 20 m: that spacing is the floor
    assert perfect["cloud"]["f_score_1m"] > 0.8
    assert perfect["cloud"]["accuracy_median_m"] < 0.15
    assert perfect["flicker"]["flicker_median"] < 0.003
    assert perfect["edges"]["edge_completeness_px"] < 2.5
    assert perfect["confidence"]["hit_rate"] > 0.99


def test_a_constant_relative_error_shows_in_depth_and_not_in_flicker(perfect: dict[str, dict[str, float]]) -> None:
    scaled = means(records(exact(lambda depth_m, camera: np.where(depth_m < 60.0, 1.2 * depth_m, 80.0))))
    for group in ("metric", "overlap", "band 0-10 m", "band 10-20 m"):
        assert scaled[group]["abs_rel"] == pytest.approx(0.2, abs=0.03), group
    assert scaled["median"]["abs_rel"] < 0.02
    assert scaled["flicker"]["flicker_median"] < 0.005
    assert scaled["cloud"]["f_score_0.2m"] < 0.01 < 0.5 < perfect["cloud"]["f_score_0.2m"]


def test_two_cameras_that_disagree_are_inconsistent_though_each_is_smooth() -> None:
    """Every other camera is 30 % too far: the neighbours' distances differ by about that."""
    split = means(records(exact(lambda depth_m, camera: depth_m * (1.3 if camera % 2 else 1.0))))
    assert 0.2 < split["consistency+"]["abs_rel"] < 0.35
    assert split["consistency"]["abs_rel"] > 0.2


def test_an_answer_that_breathes_flickers() -> None:
    """Every second moment is 10 % too far: |ln 1.1| = 0.0953, and the sign alternates."""
    calls = iter(range(100))
    predict = exact()

    def breathing(frame: SurroundFrame) -> Prediction:
        prediction = predict(frame)
        factor = np.float32(1.1 if next(calls) % 2 else 1.0)
        return replace(prediction, depth_m=tuple(grid * factor for grid in prediction.depth_m))

    found = [r for r in records(breathing) if r.group == "flicker"]
    assert {r.index for r in found} == {1, 2}  # the first moment has none before it
    for record in found:
        assert record.values["flicker_median"] == pytest.approx(np.log(1.1), abs=0.003)
        assert record.values["flicker_bias"] * (1 if record.index == 1 else -1) > 0.06


def test_the_moment_before_is_read_again_when_another_process_scored_it() -> None:
    evaluator = Evaluator(exact(), protocol("strict"), "nuscenes", kind="dense")
    alone = evaluator.score((ListedSample(2, DRIVE, 2, follows=True),)).records
    in_order = [r for r in records(exact()) if r.index == 2]
    assert [r.as_dict() for r in alone] == [r.as_dict() for r in in_order]
    assert any(r.group == "flicker" for r in alone)


def test_confidence_without_meaning_gains_nothing_and_its_reliability_says_so() -> None:
    """Half the rows are 60 % off and the confidence is 0.93 everywhere: hit rate 0.5, ECE 0.43."""

    def half_wrong(depth_m: np.ndarray, camera: int) -> np.ndarray:
        wrong = np.arange(depth_m.shape[1]) % 32 < 16
        return np.where(wrong, 1.6, 1.0) * depth_m

    found = records(exact(half_wrong, sure=0.93))
    mean = means(found)["confidence"]
    assert mean["aurg_abs_rel"] == pytest.approx(0.0, abs=0.02)
    assert mean["ause_abs_rel"] > 0.1
    assert mean["ece"] == pytest.approx(0.93 - mean["hit_rate"], abs=1e-6)
    (bin_,) = [r for r in found if r.group == "reliability 0.9-1.0" and r.index == 0]
    assert (bin_.camera, bin_.values["confidence"]) == (RIG, pytest.approx(0.93))
    assert all(r.n_pixels == 0 for r in found if r.group == "reliability 0.1-0.2")
    curve = means(found)["sparsification"]
    assert curve["by_confidence_0.5"] == pytest.approx(curve["by_confidence_0.0"], rel=0.02)
    assert curve["by_error_0.9"] < 0.02


def test_lidar_truth_has_everything_but_edges() -> None:
    groups = set(means(records(exact(), kind="lidar")))
    assert {"overlap", "consistency", "consistency+", "confidence", "cloud", "flicker", "band 0-10 m"} <= groups
    assert "edges" not in groups
    assert "cloud" not in set(means(records(exact(), kind="lidar", dataset="ddad")))


@pytest.mark.parametrize("name", ["sd:noflip", "vf", "cv", "vi", "r3", "so", "network"])
def test_every_protocol_carries_the_measures_it_can(name: str) -> None:
    drive = BoxDrive(n_samples=4)
    evaluator = Evaluator(exact(), protocol(name), "nuscenes")
    batch = tuple(ListedSample(i, drive, i) for i in range(protocol(name).batch))
    found = means(evaluator.score(batch).records, name)
    assert found["metric"]["abs_rel"] < 0.35
    assert ("overlap" in found) == (name not in ("so", "network"))
    assert found["consistency"]["abs_rel"] > 0.0


def test_a_dead_camera_and_a_single_camera_leave_no_false_numbers() -> None:
    dead = BoxDrive(n_samples=2, dead=("BL",))
    found = records(exact(drive=dead), drive=dead)
    assert all(r.n_pixels == 0 for r in found if r.camera == "BL")
    alone = BoxDrive(rig=make_rig(("F",)), n_samples=1)
    groups = {r.group for r in records(exact(drive=alone), drive=alone)}
    assert not groups & {"overlap", "consistency", "consistency+"}


class OneDamaged(BoxDrive):
    """The drive of `DRIVE`, its second sample cut off."""

    def __getitem__(self, index: int) -> Sample:
        if index == 1:
            raise DataError("image 1 is cut short")
        return super().__getitem__(index)


def test_a_damaged_sample_costs_itself_and_the_flicker_after_it() -> None:
    drive = OneDamaged(n_samples=3)
    evaluator = Evaluator(exact(), protocol("strict"), "nuscenes", skips_damage=True)
    results = [evaluator.score((ListedSample(i, drive, i, follows=i > 0),)) for i in range(3)]
    assert [result.damage for result in results] == [(), ("box-drive sample 1: image 1 is cut short",), ()]
    assert [bool(result.records) for result in results] == [True, False, True]
    assert not [r for r in results[2].records if r.group == "flicker"]
    with pytest.raises(DataError, match="cut short"):
        Evaluator(exact(), protocol("strict"), "nuscenes").score((ListedSample(2, drive, 2, follows=True),))


def test_a_batch_over_two_drives_is_of_neither() -> None:
    other = BoxDrive(n_samples=2, name="other")
    batch = tuple(ListedSample(i, DRIVE if i < 2 else other, i % 2) for i in range(4))
    found = Evaluator(exact(), protocol("vf"), "nuscenes").score(batch).records
    pooled = {r.sequence for r in found if r.group in ("metric", "median", "consistency")}
    assert pooled == {"box-drive + other"}
    assert {r.sequence for r in found if r.group == "cloud"} == {"box-drive", "other"}


def test_an_error_that_stays_with_its_place_in_the_world_does_not_flicker() -> None:
    """2 % more per metre along the street: the same place is as wrong a metre later. Where the motion is applied the
    wrong way round, each point is held against one two metres off: 0.02 to 0.04."""

    def predict(frame: SurroundFrame) -> Prediction:
        prediction = exact()(frame)
        grids = []
        for camera, grid, T_world_ego in zip(
            plan_images(frame.rig, SPEC).network_rig.cameras, prediction.depth_m, frame.T_world_ego, strict=True
        ):
            rays = ray_grid(camera.height_px, camera.width_px, camera.K)
            points_cam_m = (rays * (grid / rays[..., 2])[..., None]).reshape(-1, 3)
            x_m = transform(T_world_ego @ camera.T_ego_cam, points_cam_m)[:, 0].reshape(grid.shape)
            grids.append((grid * (1.0 + 0.02 * np.clip(x_m, -30.0, 60.0))).astype(np.float32))
        return replace(prediction, depth_m=tuple(grids))

    found = [r for r in records(predict) if r.group == "flicker" and r.n_pixels > 200]
    assert len(found) > 6
    assert max(r.values["flicker_median"] for r in found) < 0.005
    assert all(r.values["gap_s"] == pytest.approx(0.1) for r in found)


def test_flicker_asks_for_nothing_that_the_list_has_not_and_not_across_gaps() -> None:
    asked = []

    def counting(frame: SurroundFrame) -> Prediction:
        asked.append(frame.frame_id)
        return exact()(frame)

    evaluator = Evaluator(counting, protocol("strict"), "nuscenes", kind="dense")
    found = evaluator.score((ListedSample(0, DRIVE, 2),)).records
    assert asked == ["box-drive/2"]
    slow = BoxDrive(n_samples=2, period_ns=1_200_000_000)
    found += (
        Evaluator(exact(drive=slow), protocol("strict"), "nuscenes").score((ListedSample(1, slow, 1, True),)).records
    )
    assert not [r for r in found if r.group == "flicker"]


def test_consistency_is_of_clamped_depth() -> None:
    far, farther = (means(records(exact(lambda d, i, m=m: np.full_like(d, m)))) for m in (80.0, 800.0))
    assert far["consistency"] == farther["consistency"]
    assert far["consistency"]["abs_rel"] > 0.0
