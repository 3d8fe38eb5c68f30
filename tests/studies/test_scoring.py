"""Scores of a method whose answers are known: a fixed factor times the truth, another one beside a dead camera."""

from __future__ import annotations

import numpy as np
import pytest
from flat_road import HEIGHT_PX, WIDTH_PX, FakeSequence, road_depth_m

from surround_depth.evaluation.prediction import Prediction
from surround_depth.frame import SurroundFrame
from surround_depth.imaging import InputSpec, plan_images
from surround_depth.studies.corruptions import OPERATIONS
from surround_depth.studies.scoring import corrupted, score_drives, with_dead_camera

SPEC = InputSpec(height_px=HEIGHT_PX, width_px=WIDTH_PX)
DRIVES = [FakeSequence("a", 2), FakeSequence("b", 3)]
CAMERA_FACTOR = {"LEFT": 1.1, "FRONT": 1.2, "RIGHT": 1.3}


def answer(frame: SurroundFrame) -> Prediction:
    """Answer 10, 20 and 30 % too far; twice that while a camera is dead."""
    extra = 1.0 if frame.camera_valid.all() else 2.0
    depth_m = tuple(
        ((1 + extra * (CAMERA_FACTOR[c.name] - 1)) * np.nan_to_num(road_depth_m(c), nan=70.0)).astype(np.float32)
        for c in frame.rig.cameras
    )
    confidence = tuple(np.full((HEIGHT_PX, WIDTH_PX), 0.5, np.float32) for _ in depth_m)
    return Prediction(depth_m, tuple(plan.window for plan in plan_images(frame.rig, SPEC).plans), confidence)


def test_clean_scores_are_the_means_over_cameras_of_each_drive() -> None:
    scores = score_drives(answer, DRIVES, ["clean"])
    assert list(scores) == ["clean"]
    assert scores["clean"]["abs_rel"] == pytest.approx({"a": 0.2, "b": 0.2}, rel=1e-4)
    assert scores["clean"]["a1"] == pytest.approx({"a": 2 / 3, "b": 2 / 3})  # 1.3 is beyond 1.25
    # |0.5 - hit rate| of the rig's pixels, all cameras seeing as much road: 2/3 - 1/2
    assert scores["clean"]["ece"] == pytest.approx({"a": 1 / 6, "b": 1 / 6}, abs=0.01)


def test_a_dead_camera_is_held_against_the_same_healthy_ones() -> None:
    found = score_drives(answer, DRIVES, ["dead"])["dead"]
    # drive a: LEFT dead, then FRONT dead: (1.2, 1.3) and (1.1, 1.3); drive b: RIGHT, LEFT, FRONT
    assert found["abs_rel_all_alive"] == pytest.approx({"a": 0.9 / 4, "b": 1.2 / 6}, rel=1e-4)
    assert found["abs_rel"] == pytest.approx({"a": 1.8 / 4, "b": 2.4 / 6}, rel=1e-4)


def test_the_dead_camera_goes_round() -> None:
    sample = FakeSequence()[0]
    dead = [list(with_dead_camera(sample, place).frame.camera_valid).index(False) for place in range(4)]
    assert dead == [0, 1, 2, 0]
    assert sample.frame.camera_valid.all()


def test_every_kind_of_corruption_has_its_turn_and_never_changes() -> None:
    sample = FakeSequence()[0]
    first = [corrupted(sample, place).frame.images for place in range(len(OPERATIONS))]
    again = [corrupted(sample, place).frame.images for place in range(len(OPERATIONS))]
    for one, other in zip(first, again, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    pictures = [images[1].tobytes() for images in (*first, sample.frame.images)]
    assert len(set(pictures)) == len(OPERATIONS) + 1


def test_the_method_sees_the_spoilt_pictures() -> None:
    seen = []

    def watch(frame: SurroundFrame) -> Prediction:
        seen.append(frame.images[0].tobytes())
        return answer(frame)

    scores = score_drives(watch, DRIVES, ["clean", "corrupted"])
    assert scores["corrupted"]["abs_rel"] == pytest.approx(scores["clean"]["abs_rel"])  # these answers do not look
    assert len(set(seen)) == len(seen) - 2  # samples 0 and 1 of both drives are the same, spoilt ones never
