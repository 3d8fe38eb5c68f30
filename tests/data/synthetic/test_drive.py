"""The rendered drive: reproducible, different by seed, and geometrically true (planes, overlaps, LiDAR, own body)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from surround_depth.data.synthetic.drive import DriveConfig, render_drive
from surround_depth.data.synthetic.drive_types import RenderedDrive, RenderedSample
from surround_depth.data.synthetic.lidar import MAX_RANGE_M
from surround_depth.errors import ConfigError
from surround_depth.geometry import Array, invert_rigid, project, ray_grid, transform, unproject
from surround_depth.imaging import InputSpec, plan_images
from surround_depth.rig import Rig, load_rig


@pytest.fixture(scope="module")
def rig() -> Rig:
    return plan_images(load_rig("nuscenes"), InputSpec(height_px=128, width_px=224)).network_rig


@pytest.fixture(scope="module")
def still(rig: Rig) -> Iterator[tuple[RenderedDrive, RenderedSample]]:
    """One sample of a standing vehicle: the cameras and the LiDAR see the same world but for its few movers."""
    drive = render_drive(DriveConfig(3, rig, 1, lighting="clear_noon", speed_mps=0.0, busy=0.0))
    return drive, next(drive.samples)


def world_points(sample: RenderedSample, rig: Rig, index: int) -> Array:
    """Return [H, W, 3] world points of a camera's depth."""
    camera = rig.cameras[index]
    rays = ray_grid(camera.height_px, camera.width_px, camera.K, camera.lens)
    points_cam_m = unproject(sample.depth_m[index].astype(np.float64), rays)
    return transform(sample.T_world_ego[index] @ camera.T_ego_cam, points_cam_m)


def test_equal_configs_give_equal_bytes(rig: Rig) -> None:
    small = rig.select(("CAM_FRONT", "CAM_BACK"))
    first, second = (list(render_drive(DriveConfig(11, small, 2)).samples) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert all(x.tobytes() == y.tobytes() for x, y in zip(a.images + a.depth_m, b.images + b.depth_m, strict=True))
        assert a.lidar_points.tobytes() == b.lidar_points.tobytes()
        assert a.T_world_ego.tobytes() == b.T_world_ego.tobytes()
        assert [box.instance for box in a.boxes] == [box.instance for box in b.boxes]


def test_seeds_differ_in_layout(rig: Rig) -> None:
    front = rig.select(("CAM_FRONT_LEFT",))
    depths = [
        next(render_drive(DriveConfig(seed, front, 1, lighting="overcast")).samples).depth_m[0] for seed in (0, 1, 2)
    ]
    upper = [np.nan_to_num(d[: d.shape[0] // 2], nan=500.0) for d in depths]
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert np.mean(np.abs(upper[a] - upper[b]) > 0.2 * upper[a]) > 0.3


def test_carriageway_is_the_plane_z_0(still: tuple[RenderedDrive, RenderedSample]) -> None:
    drive, sample = still
    front = world_points(sample, drive.rig, drive.rig.index("CAM_FRONT"))
    nearest_row = front[-1][np.isfinite(front[-1, :, 2])]
    assert np.abs(nearest_row[:, 2]).max() < 0.005  # straight ahead of a standing vehicle lies road
    heights = np.concatenate([world_points(sample, drive.rig, i)[..., 2].ravel() for i in range(len(drive.rig))])
    heights = heights[np.isfinite(heights)]
    assert heights.min() > -0.35
    assert np.mean(np.abs(heights) < 0.005) > 0.05
    assert np.mean(np.abs(heights - 0.13) < 0.005) > 0.05  # pavements and lots: one kerb up


def test_overlapping_cameras_see_the_same_surfaces(still: tuple[RenderedDrive, RenderedSample]) -> None:
    drive, sample = still
    for i, j in drive.rig.adjacent_pairs():
        points = world_points(sample, drive.rig, i).reshape(-1, 3)
        relative = _relative_error(points[np.isfinite(points[:, 0])], sample, drive.rig, j)
        assert len(relative) > 50
        assert np.median(np.abs(relative)) < 0.02  # half a pixel on the ground at this size
        assert abs(np.median(relative)) < 0.004


def test_lidar_agrees_with_dense_depth(still: tuple[RenderedDrive, RenderedSample]) -> None:
    drive, sample = still
    T_world_lidar = sample.T_world_ego_lidar @ drive.T_ego_lidar
    points = transform(T_world_lidar, sample.lidar_points[:, :3].astype(np.float64))
    errors = np.concatenate([_relative_error(points, sample, drive.rig, i) for i in range(len(drive.rig))])
    assert len(errors) > 4000
    # 2 cm of range noise; the rest is pixel rounding on slanted ground and occlusion between the two mountings
    assert np.median(np.abs(errors)) < 0.01
    assert abs(np.median(errors)) < 0.002


def _relative_error(points_world_m: Array, sample: RenderedSample, rig: Rig, index: int) -> Array:
    """Return (depth map - point depth) / point depth where the points fall into the image."""
    camera = rig.cameras[index]
    points_cam_m = transform(invert_rigid(sample.T_world_ego[index] @ camera.T_ego_cam), points_world_m)
    uv_px = np.nan_to_num(project(points_cam_m, camera.K, camera.lens), nan=-1e6)
    column, row = np.floor(uv_px + 0.5).astype(int).T
    inside = (column >= 0) & (column < camera.width_px) & (row >= 0) & (row < camera.height_px)
    mapped_m = sample.depth_m[index][row[inside], column[inside]]
    relative = (mapped_m - points_cam_m[inside, 2]) / points_cam_m[inside, 2]
    return np.asarray(relative[np.isfinite(relative)])


def test_lidar_sweep_is_like_nuscenes(still: tuple[RenderedDrive, RenderedSample]) -> None:
    points = still[1].lidar_points
    ranges = np.linalg.norm(points[:, :3], axis=1)
    assert points.dtype == np.float32
    assert points.shape[1] == 5
    assert 15_000 < len(points) < 32 * 1080
    assert ranges.max() < MAX_RANGE_M + 0.2
    assert set(np.unique(points[:, 4])) <= set(range(32))
    assert points[:, 3].min() >= 0
    assert points[:, 3].max() <= 255
    elevation_deg = np.degrees(np.arcsin(points[:, 2] / ranges))
    assert elevation_deg.min() > -31.5
    assert elevation_deg.max() < 11.5
    assert np.polyfit(points[:, 4], elevation_deg, 1)[0] == pytest.approx(41.34 / 31, rel=0.02)


def test_own_body_is_seen_backwards_and_near(still: tuple[RenderedDrive, RenderedSample]) -> None:
    drive, sample = still
    for i, camera in enumerate(drive.rig.cameras):
        assert camera.own_body is not None
        body_depth_m = sample.depth_m[i][camera.own_body]
        assert np.isfinite(body_depth_m).all()
        assert (body_depth_m < 3.0).all()
    back = drive.rig.camera("CAM_BACK").own_body
    assert back is not None
    assert 0.01 < back.mean() < 0.25
    assert back[-1].mean() > 0.3
    assert not back[: back.shape[0] // 2].any()
    front = drive.rig.camera("CAM_FRONT").own_body
    assert front is not None
    assert front.mean() < 0.05


def test_cameras_fire_at_their_stagger_from_a_moving_vehicle(rig: Rig) -> None:
    small = rig.select(("CAM_FRONT", "CAM_BACK"))
    drive = render_drive(DriveConfig(2, small, 2, speed_mps=10.0))
    first, second = drive.samples
    offsets_ms = [camera.trigger_offset_ms for camera in small.cameras]
    stagger_ms = (first.stamps_ns[1] - first.stamps_ns[0]) / 1e6
    assert stagger_ms == pytest.approx(offsets_ms[1] - offsets_ms[0], abs=0.001)
    moved_m = np.linalg.norm(first.T_world_ego[1, :3, 3] - first.T_world_ego[0, :3, 3])
    assert moved_m == pytest.approx(10.0 * stagger_ms / 1e3, rel=0.15)  # the speed swings by 12 %
    assert (second.stamps_ns - first.stamps_ns == 500_000_000).all()
    assert first.lidar_stamp_ns > first.stamps_ns.max()


def test_boxes_move_with_their_velocity(rig: Rig) -> None:
    drive = render_drive(DriveConfig(2, rig.select(("CAM_FRONT",)), 2, frame_interval_s=0.1, busy=1.0))
    first, second = drive.samples
    later = {box.instance: box for box in second.boxes}
    moving = [box for box in first.boxes if np.linalg.norm(box.velocity_world_mps) > 0.5 and box.instance in later]
    assert len(moving) > 3
    assert len({box.instance for box in first.boxes}) == len(first.boxes)
    for box in moving:
        step_m = later[box.instance].T_world_box[:3, 3] - box.T_world_box[:3, 3]
        np.testing.assert_allclose(step_m[:2] / 0.1, box.velocity_world_mps[:2], atol=0.3)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"n_frames": 0}, "n_frames"), ({"seed": -1}, "seed"), ({"frame_interval_s": 0.0}, "frame_interval_s"),
        ({"lighting": "night"}, "night"), ({"speed_mps": 99.0}, "speed_mps"), ({"busy": 1.5}, "busy"),
    ],
)  # fmt: skip
def test_config_refuses_what_cannot_be_rendered(rig: Rig, change: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        replace(DriveConfig(0, rig, 1), **change)  # type: ignore[arg-type]


def test_a_drive_ends_before_its_road(rig: Rig) -> None:
    """At 30 m/s 830 m of road last about 27 s, 55 frames of 0.5 s: 100 would stand at its end."""
    with pytest.raises(ConfigError, match=r"scene-0003: at 30\.0 m/s 100 frames .* 5\d frames fit"):
        render_drive(DriveConfig(3, rig, 100, speed_mps=30.0, busy=0.0))
