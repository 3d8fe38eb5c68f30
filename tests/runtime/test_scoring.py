from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from box_world import SPEC, BoxDrive, exact_depth

from surround_depth.imaging import plan_images
from surround_depth.runtime.scoring import DepthScore, dense_truth, lidar_truth

DRIVE = BoxDrive()


def test_exact_depth_agrees_with_lidar_and_dense_truth() -> None:
    depth, sample = exact_depth(DRIVE, 1), DRIVE[1]
    assert sample.truth is not None
    lidar_m = lidar_truth(sample, depth)
    assert lidar_m is not None
    truth_m = dense_truth(sample.truth, plan_images(DRIVE.rig, SPEC))
    for truth in (lidar_m, truth_m):
        score = DepthScore()
        score.add(depth, truth)
        report = score.as_dict()
        assert report is not None
        # Half a pixel of a grazing road at this resolution.
        assert report["mean"]["abs_rel"] < 0.03
        assert report["mean"]["a1"] > 0.99
        assert set(report["per_camera"]) == {"FL", "F", "FR", "BR", "B", "BL"}


def test_hand_worked_errors_range_coverage_and_own_body() -> None:
    depth = exact_depth(DRIVE)
    body = np.zeros((64, 96), np.bool_)
    body[0, 6] = True
    cameras = depth.rig.cameras
    depth_m = np.full_like(depth.depth_m, np.nan)
    depth_m[0, 0, :7] = (11.0, 18.0, 60.0, 5.0, np.nan, 90.0, 1.0)
    depth = replace(
        depth,
        rig=depth.rig.with_cameras((cameras[0].with_own_body(body), *cameras[1:])),
        depth_m=depth_m,
        valid=np.isfinite(depth_m),
        sky=np.zeros_like(depth.sky),
    )
    truth_m = np.full_like(depth_m, np.nan)
    # Three answered, one unanswered, one beyond 80 m, one on our own vehicle; the fourth prediction has no truth.
    truth_m[0, 0, :7] = (10.0, 20.0, 40.0, np.nan, 7.0, 90.0, 9.0)
    score = DepthScore()
    score.add(depth, truth_m)
    report = score.as_dict()
    assert report is not None
    assert report["per_camera"]["FL"]["abs_rel"] == pytest.approx(0.7 / 3)
    assert report["per_camera"]["FL"]["rmse"] == pytest.approx(11.61895, abs=1e-5)
    assert report["per_camera"]["FL"]["a1"] == pytest.approx(2 / 3)
    assert (report["coverage"], report["n_pixels"]) == (0.75, 3)
    assert np.isnan(report["per_camera"]["F"]["abs_rel"])
    assert report["mean"]["abs_rel"] == pytest.approx(0.7 / 3)  # cameras without truth do not count


def test_a_dead_camera_is_not_scored() -> None:
    drive = replace(DRIVE, dead=("F",))
    depth = exact_depth(drive)
    assert drive[0].truth is not None
    score = DepthScore()
    score.add(depth, dense_truth(drive[0].truth, plan_images(drive.rig, SPEC)))
    report = score.as_dict()
    assert report is not None
    assert np.isnan(report["per_camera"]["F"]["abs_rel"])
    assert report["coverage"] > 0.95


def test_no_truth_no_score() -> None:
    assert DepthScore().as_dict() is None
    assert lidar_truth(replace(DRIVE[0], lidar=None), exact_depth(DRIVE)) is None
