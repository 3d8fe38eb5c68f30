"""Flip averaging: the published ramps, a consistent mirrored rig, and nothing changed where nothing should."""

from __future__ import annotations

import numpy as np
import pytest
from box_world import SPEC, BoxDrive, OracleBackend, make_rig

from surround_depth.evaluation.flip import FlipAveraged, as_protocol_asks, flip_blend
from surround_depth.evaluation.prediction import Prediction
from surround_depth.evaluation.predictors import EnginePredictor
from surround_depth.frame import SurroundFrame
from surround_depth.imaging import mirrored_frame, plan_images
from surround_depth.window import ImageWindow


def monodepth_blend(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The published ramps, pixel by pixel."""
    out = np.empty_like(left)
    width = left.shape[1]
    for column in range(width):
        x = column / (width - 1)
        m = 1 - min(max(20 * (x - 0.05), 0.0), 1.0)
        m_flip = 1 - min(max(20 * ((1 - x) - 0.05), 0.0), 1.0)
        mean = 0.5 * (left[:, column] + right[:, column])
        out[:, column] = m_flip * left[:, column] + m * right[:, column] + (1 - m - m_flip) * mean
    return out


def test_the_ramps_are_the_published_ones() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0.01, 1.0, (3, 64)).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(flip_blend(a, b), monodepth_blend(a, b), rtol=1e-5)
    assert flip_blend(a, b)[0, 0] == b[0, 0]
    assert flip_blend(a, b)[0, -1] == a[0, -1]


def test_where_one_answer_is_missing_the_other_one_counts() -> None:
    a, b = np.array([[np.nan, 2.0, np.nan]], np.float32), np.array([[4.0, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(flip_blend(a, b), np.array([[4.0, 2.0, np.nan]], np.float32))


@pytest.mark.parametrize("flip", ["disparity", "depth"])
def test_blends_what_the_protocol_says(flip: str) -> None:
    """Straight answers 10 m, the mirrored frame 20 m: the middle is 15 m on depth, 13.33 m on disparity."""

    def predict(frame: SurroundFrame) -> Prediction:
        is_mirrored = frame.rig.cameras[0].T_ego_cam[1, 3] > 0
        value = np.float32(20.0 if is_mirrored else 10.0)
        return Prediction((np.full((4, 64), value),), (ImageWindow.whole(128, 192, 4, 64),))

    drive = BoxDrive(rig=make_rig(("FR",)))
    blended = as_protocol_asks(predict, flip)(drive[0].frame).depth_m[0]  # type: ignore[arg-type]
    assert blended[0, 32] == pytest.approx(15.0 if flip == "depth" else 40.0 / 3.0, rel=1e-6)
    assert (blended[0, 0], blended[0, -1]) == (pytest.approx(20.0, rel=1e-6), pytest.approx(10.0, rel=1e-6))
    assert as_protocol_asks(predict, "off") is predict


def test_a_perfect_system_stays_perfect() -> None:
    """Exact depth of the frame and of its mirror image, blended, is the exact depth: rig, poses and pictures agree."""
    drive = BoxDrive()

    def exact(frame: SurroundFrame) -> Prediction:
        plans = plan_images(frame.rig, SPEC)
        is_mirrored = frame.rig.cameras[0].T_ego_cam[1, 3] < 0  # the box rig begins with a camera on the left
        straight = plan_images(drive.rig, SPEC).network_rig.cameras
        assert frame.T_world_ego is not None
        poses = drive[0].frame.T_world_ego
        assert poses is not None
        depths = [drive.world.depth_m(c, T) for c, T in zip(straight, poses, strict=True)]
        grids = [d[:, ::-1] if is_mirrored else d for d in depths]
        return Prediction(tuple(np.float32(g) for g in grids), tuple(p.window for p in plans.plans))

    once, twice = exact(drive[0].frame), FlipAveraged(exact, "disparity")(drive[0].frame)
    for a, b in zip(once.depth_m, twice.depth_m, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_an_odd_excess_is_cut_unevenly_and_put_right() -> None:
    """Of 5 columns 4 are kept: the straight crop begins at column 0, the mirrored picture's at its own column 0."""

    def predict(frame: SurroundFrame) -> Prediction:
        columns = np.arange(192, dtype=np.float32)
        if frame.rig.cameras[0].T_ego_cam[1, 3] > 0:
            columns = columns[::-1]
        window = ImageWindow(128, 192, 128, 192, 0, 0, 128, 191)
        return Prediction((np.tile(1.0 + columns[:191], (128, 1)),), (window,))

    drive = BoxDrive(rig=make_rig(("FR",)))
    blended = FlipAveraged(predict, "depth")(drive[0].frame).depth_m[0]
    np.testing.assert_allclose(blended[0, 1:], 1.0 + np.arange(1, 191), rtol=1e-5)


def test_mirrored_pictures_are_flipped_and_dead_cameras_stay_dead() -> None:
    drive = BoxDrive(dead=("BL",))
    frame = drive[0].frame
    mirrored = mirrored_frame(frame)
    assert mirrored.images[frame.rig.index("BL")] is None
    picture, flipped = frame.images[0], mirrored.images[0]
    assert isinstance(picture, np.ndarray)
    np.testing.assert_array_equal(flipped, picture[:, ::-1])
    backend = OracleBackend(drive)
    FlipAveraged(EnginePredictor(backend), "disparity")(frame)
    assert len(backend.calls) == 2
