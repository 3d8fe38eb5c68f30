"""Truth on the network's pixels: where it lies, and where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from box_world import SPEC, BoxDrive, exact_depth

from surround_depth.data.network_truth import TruthKind, truth_depth_m, truth_kinds, truth_sky
from surround_depth.data.sample import Sample
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.imaging import ImagePlans, plan_images


def with_own_body(drive: BoxDrive) -> BoxDrive:
    """Give the first camera an own vehicle on its lowest rows."""
    body = np.zeros((128, 192), np.bool_)
    body[120:] = True
    cameras = drive.rig.cameras
    return replace(drive, rig=drive.rig.with_cameras((cameras[0].with_own_body(body), *cameras[1:])))


DRIVE = with_own_body(BoxDrive(dead=("F",)))
DEAD = DRIVE.rig.index("F")


@pytest.fixture(scope="module")
def sample() -> Sample:
    return DRIVE[1]


@pytest.fixture(scope="module")
def plans() -> ImagePlans:
    return plan_images(DRIVE.rig, SPEC)


@pytest.mark.parametrize("kind", ["dense", "lidar"])
def test_both_kinds_agree_with_geometry(sample: Sample, plans: ImagePlans, kind: TruthKind) -> None:
    truth_m = truth_depth_m(sample, plans, kind)
    exact_m = exact_depth(DRIVE, 1).depth_m
    both = np.isfinite(truth_m) & np.isfinite(exact_m)
    assert both.sum() > 300
    relative = np.abs(truth_m[both] / exact_m[both] - 1.0)
    # Half a pixel of a grazing road at this resolution, and the edges of boxes.
    assert relative.mean() < 0.03
    assert truth_m.dtype == np.float32


@pytest.mark.parametrize("kind", ["dense", "lidar"])
def test_own_body_and_dead_cameras_have_no_truth(sample: Sample, plans: ImagePlans, kind: TruthKind) -> None:
    truth_m = truth_depth_m(sample, plans, kind)
    assert plans.own_body[0, 60:].all()
    assert np.isnan(truth_m[0, 60:]).all()
    assert np.isfinite(truth_m[0, :60]).any()
    assert np.isnan(truth_m[DEAD]).all()


def test_a_lidar_point_lands_on_its_pixel(sample: Sample) -> None:
    # 8 m straight ahead of camera F, which stands at (0.5, 0, 1.5) m, a little right of and below its axis.
    alive = replace(sample, frame=BoxDrive()[1].frame)
    index = alive.frame.rig.index("F")
    pose = alive.frame.T_world_ego[index]
    cloud = PointCloud(np.array([[8.5, -0.01, 1.49]], np.float32), "ego", stamp_ns=10, T_world_ego=pose)
    plans = plan_images(alive.frame.rig, SPEC)
    truth_m = truth_depth_m(replace(alive, lidar=cloud), plans, "lidar")[index]
    assert np.argwhere(np.isfinite(truth_m)).tolist() == [[32, 48]]
    assert truth_m[32, 48] == pytest.approx(8.0)


def test_sky_is_sky_but_not_on_the_own_body(sample: Sample, plans: ImagePlans) -> None:
    all_sky = replace(sample, truth=replace(sample.truth, sky=tuple(np.ones_like(s) for s in sample.truth.sky)))
    sky = truth_sky(all_sky, plans)
    assert sky is not None
    np.testing.assert_array_equal(sky, ~plans.own_body)
    assert truth_sky(replace(sample, truth=None), plans) is None


def test_what_there_is_to_compare_with(sample: Sample, plans: ImagePlans) -> None:
    assert truth_kinds(sample) == ("dense", "lidar")
    blind = replace(sample, truth=None)
    assert truth_kinds(blind) == ("lidar",)
    assert truth_kinds(replace(blind, lidar=None)) == ()
    # without the pose of the sweep nobody knows where the vehicle was: no truth
    assert truth_kinds(replace(blind, lidar=replace(sample.lidar, T_world_ego=None))) == ()
    with pytest.raises(DataError, match="has no dense truth"):
        truth_depth_m(blind, plans, "dense")
