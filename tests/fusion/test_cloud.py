from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from box_world import BoxDrive, exact_depth, make_camera, make_rig, single_camera

from surround_depth.errors import ConfigError
from surround_depth.frame import SurroundDepth
from surround_depth.fusion import fuse
from surround_depth.geometry import Lens, ray_grid, transform, unproject
from surround_depth.rig import Rig


def forward_depth(depth_m: np.ndarray, *, sky: np.ndarray | None = None) -> SurroundDepth:
    """One forward camera 1.5 m up and 0.5 m ahead that sees `depth_m` [H, W]; NaN = no value."""
    height_px, width_px = depth_m.shape
    valid = np.isfinite(depth_m)[None]
    return SurroundDepth(
        frame_id="hand",
        rig=Rig("one", (make_camera("F", 0.0, height_px, width_px),)),
        depth_m=depth_m[None].astype(np.float32),
        valid=valid,
        sky=np.zeros_like(valid) if sky is None else sky[None],
        confidence=np.where(valid, np.float32(0.9), np.float32(0.0)),
        images=np.full((1, height_px, width_px, 3), (10, 20, 30), np.uint8),
        stamps_ns=np.array([1_000], np.int64),
        T_world_ego=None,
        camera_valid=np.ones(1, np.bool_),
    )


def distance_to_world(points_world_m: np.ndarray, drive: BoxDrive) -> np.ndarray:
    """Distance to the nearest surface of the box world, from its definition alone."""
    nearest = np.abs(points_world_m[:, 2])
    for low, high in drive.world.boxes:
        outside = np.maximum(np.maximum(np.array(low) - points_world_m, points_world_m - np.array(high)), 0.0)
        inside = np.minimum(points_world_m - np.array(low), np.array(high) - points_world_m).min(axis=1)
        gap = np.linalg.norm(outside, axis=1)
        nearest = np.minimum(nearest, np.where(gap > 0.0, gap, np.abs(inside)))
    return nearest


def test_a_wall_ten_metres_ahead() -> None:
    cloud = fuse(forward_depth(np.full((4, 6), 10.0)), voxel_m=None)
    focal_px = 3.0 / np.tan(np.radians(35.0))
    columns, rows = np.meshgrid(np.arange(6), np.arange(4))
    np.testing.assert_allclose(cloud.points_m[:, 0], 10.5, rtol=1e-6)
    np.testing.assert_allclose(cloud.points_m[:, 1], (10.0 * (2.5 - columns) / focal_px).ravel(), atol=1e-5)
    np.testing.assert_allclose(cloud.points_m[:, 2], (1.5 + 10.0 * (1.5 - rows) / focal_px).ravel(), atol=1e-5)
    assert cloud.coordinate_frame == "ego"
    assert cloud.stamp_ns == 1_000
    assert cloud.rgb is not None
    assert (cloud.rgb == (10, 20, 30)).all()
    assert cloud.camera_index is not None
    assert set(cloud.camera_index) == {0}


def test_agrees_with_the_plain_numpy_unprojection() -> None:
    depth = exact_depth(BoxDrive(speed_mps=0.0))
    cloud = fuse(depth, voxel_m=None, max_range_m=1e4, min_confidence=0.0, max_incidence_deg=90.0)
    expected = []
    for i, camera in enumerate(depth.rig.cameras):
        rays = ray_grid(camera.height_px, camera.width_px, camera.K, camera.lens)
        expected.append(transform(camera.T_ego_cam, unproject(depth.depth_m[i], rays)[depth.valid[i]]))
    np.testing.assert_allclose(cloud.points_m, np.concatenate(expected), rtol=1e-5, atol=1e-4)


def test_confidence_range_and_validity_decide_what_is_kept() -> None:
    depth = forward_depth(np.array([[5.0, np.nan, 50.0, 5.0]] * 3))
    confidence = depth.confidence.copy()
    confidence[0, :, 3] = 0.3
    depth = replace(depth, confidence=confidence)
    assert len(fuse(depth, voxel_m=None, max_incidence_deg=90.0, min_confidence=0.0)) == 9
    assert len(fuse(depth, voxel_m=None, max_incidence_deg=90.0, min_confidence=0.5)) == 6
    assert len(fuse(depth, voxel_m=None, max_incidence_deg=90.0, min_confidence=0.5, max_range_m=20.0)) == 3


def test_range_is_measured_from_the_ego_origin() -> None:
    cloud = fuse(exact_depth(BoxDrive()), max_range_m=15.0, voxel_m=None)
    ranges_m = np.linalg.norm(cloud.points_m, axis=1)
    assert 14.5 < ranges_m.max() <= 15.0 + 1e-4


@pytest.mark.parametrize(
    "row, kept",
    [
        ((10, 10, 20, 40, 40), (1, 1, 0, 1, 1)),  # a smeared edge: the pixel between is neither
        ((40, 40, 20, 10, 10), (1, 1, 0, 1, 1)),
        ((10, 10, 10, 40, 40), (1, 1, 1, 1, 1)),  # a clean edge keeps both its sides
        ((40, 40, 10, 40, 40), (1, 1, 1, 1, 1)),  # a thin pole stands in front of both neighbours
        ((10, 10.1, 10.2, 10.3, 10.4), (1, 1, 1, 1, 1)),  # a slope
        ((10, 10, 30, np.inf, np.inf), (1, 1, 0, 0, 0)),  # a smear towards the sky
        ((10, 20, np.nan, 40, 80), (1, 1, 0, 1, 1)),  # no evidence beyond a hole: kept
    ],
)
def test_flying_pixels(row: tuple[float, ...], kept: tuple[int, ...]) -> None:
    values = np.tile(np.array(row, float), (3, 1))
    depth = forward_depth(np.where(np.isinf(values), np.nan, values), sky=np.isinf(values))
    (camera,) = depth.rig.cameras
    K = np.array([[354.0, 0.0, 2.0], [0.0, 354.0, 1.0], [0.0, 0.0, 1.0]])  # nuScenes at 256 x 448
    depth = replace(depth, rig=Rig("narrow", (replace(camera, K=K),)))
    cloud = fuse(depth, voxel_m=None, max_range_m=1e3)
    x_m = sorted(set(np.round(cloud.points_m[:, 0] - 0.5, 3)))
    assert x_m == sorted({round(value, 3) for value, keep in zip(row, kept, strict=True) if keep})


def test_a_road_is_no_flying_pixel_however_grazing() -> None:
    flat = BoxDrive(rig=make_rig(("F",), height_px=256, width_px=448), speed_mps=0.0)
    depth = exact_depth(replace(flat, world=replace(flat.world, boxes=())))
    kept = fuse(depth, voxel_m=None, max_range_m=60.0)
    everything = fuse(depth, voxel_m=None, max_range_m=60.0, max_incidence_deg=90.0)
    assert len(kept) == len(everything) > 1000


def test_every_camera_is_placed_by_its_own_pose() -> None:
    drive = BoxDrive(speed_mps=20.0)
    depth = exact_depth(drive, 2)
    cloud = fuse(depth, voxel_m=None)
    assert cloud.T_world_ego is not None
    assert cloud.stamp_ns == depth.stamps_ns.max()
    in_world = transform(cloud.T_world_ego, cloud.points_m.astype(np.float64))
    assert distance_to_world(in_world, drive).max() < 2e-3
    standing = fuse(replace(depth, T_world_ego=None), voxel_m=None)
    uncorrected = transform(cloud.T_world_ego, standing.points_m.astype(np.float64))
    assert distance_to_world(uncorrected, drive).max() > 0.2  # 25 ms at 20 m/s are half a metre


def test_a_dead_camera_has_no_points_and_does_not_set_the_time() -> None:
    drive = BoxDrive(dead=("BL",))  # the camera that fires last
    depth = exact_depth(drive)
    cloud = fuse(depth)
    assert cloud.camera_index is not None
    assert set(cloud.camera_index) == {0, 1, 2, 3, 4}
    assert cloud.stamp_ns == depth.stamps_ns[4]


def test_no_valid_camera_gives_an_empty_cloud() -> None:
    depth = forward_depth(np.full((3, 4), np.nan))
    assert len(fuse(replace(depth, camera_valid=np.zeros(1, np.bool_)))) == 0


def test_pixels_outside_a_lens_are_left_out() -> None:
    # fx 20 at 60 px half width: 3 rad off axis at the border, more than this polynomial reaches.
    camera = replace(make_camera("F", 0.0, 80, 120), K=np.array([[20, 0, 59.5], [0, 20, 39.5], [0, 0, 1.0]]))
    depth = forward_depth(np.full((80, 120), 10.0))
    wide = replace(camera, lens=Lens("fisheye", (0.0, 0.0, 0.0, 0.0)))
    cloud = fuse(replace(depth, rig=Rig("wide", (wide,))), voxel_m=None, max_range_m=1e9, max_incidence_deg=90.0)
    off_axis_px = np.hypot(*np.meshgrid(np.arange(120) - 59.5, np.arange(80) - 39.5))
    assert len(cloud) == (off_axis_px / 20.0 < np.arccos(1e-3)).sum()
    assert np.isfinite(cloud.points_m).all()


def test_same_input_same_bytes() -> None:
    depth = exact_depth(BoxDrive())
    assert fuse(depth).points_m.tobytes() == fuse(depth).points_m.tobytes()


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_range_m": 0.0},
        {"max_range_m": float("nan")},
        {"min_confidence": 1.1},
        {"voxel_m": 0.0},
        {"voxel_m": 1e-7},
        {"voxel_m": float("nan")},
        {"max_incidence_deg": 91.0},
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        fuse(single_camera(exact_depth(BoxDrive())), **arguments)  # type: ignore[arg-type]


def test_open3d_unprojects_to_the_same_points() -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    depth_m = np.random.default_rng(5).uniform(2.0, 40.0, (30, 50)).astype(np.float32)
    depth = forward_depth(depth_m)
    (camera,) = depth.rig.cameras
    intrinsic = open3d.camera.PinholeCameraIntrinsic(50, 30, camera.K)
    image = open3d.geometry.Image(depth_m)
    theirs = open3d.geometry.PointCloud.create_from_depth_image(image, intrinsic, depth_scale=1.0, depth_trunc=1e3)
    ours = fuse(depth, voxel_m=None, max_range_m=1e3, max_incidence_deg=90.0)
    expected = transform(camera.T_ego_cam, np.asarray(theirs.points))
    np.testing.assert_allclose(ours.points_m, expected, atol=1e-4)
