"""A drive small enough for tests: a plane of road, one car, a sweep that lies on both, all worked out in numpy."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dgp_edits import SCENE
from whole_trees import write_dgp, write_nuscenes

from surround_depth.data import nuscenes_cache
from surround_depth.data.nuscenes_parse import build_index
from surround_depth.data.synthetic.drive_types import RenderedBox, RenderedDrive, RenderedSample
from surround_depth.files import CACHE_VARIABLE
from surround_depth.geometry import ray_grid, resized_K, rigid, transform
from surround_depth.rig import Camera, Rig, load_rig

VERSION = "v1.0-mini"
FIRST_STAMP_NS = 1_700_000_000_123_456_000
STEP_NS = 500_000_000
SPEED_MPS = 8.0
T_EGO_LIDAR = rigid(np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), (0.94, 0.0, 1.84))


def small(camera: Camera, scale: float = 0.1) -> Camera:
    """Return a camera of a tenth of the size, its lower left eighth covered by the own vehicle."""
    height_px, width_px = round(camera.height_px * scale), round(camera.width_px * scale)
    own_body = np.zeros((height_px, width_px), np.bool_)
    own_body[-height_px // 4 :, : width_px // 2] = True
    K = resized_K(camera.K, width_px / camera.width_px, height_px / camera.height_px)
    return replace(camera, height_px=height_px, width_px=width_px, K=K, own_body=own_body)


def ego_pose(stamp_ns: int) -> np.ndarray:
    """Return T_world_ego of a car that drives along a heading of 30 degrees, 1 km from the origin."""
    yaw_rad = np.deg2rad(30.0)
    R = np.array([[np.cos(yaw_rad), -np.sin(yaw_rad), 0], [np.sin(yaw_rad), np.cos(yaw_rad), 0], [0, 0, 1]])
    way_m = SPEED_MPS * (stamp_ns - FIRST_STAMP_NS) / 1e9
    return rigid(R, np.array([1000.0, -700.0, 0.0]) + R[:, 0] * way_m)


def plane_depth(camera: Camera, T_world_ego: np.ndarray) -> np.ndarray:
    """Return the z-depth of the road, NaN above the horizon."""
    T_world_cam = T_world_ego @ camera.T_ego_cam
    rays = ray_grid(camera.height_px, camera.width_px, camera.K)
    down = (rays @ T_world_cam[:3, :3].T)[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        depth_m = rays[..., 2] * -T_world_cam[2, 3] / down
    return np.where(down < -1e-3, depth_m, np.nan).astype(np.float32)


def samples_of(rig: Rig, n_samples: int, seed: int) -> Iterator[RenderedSample]:
    """Yield samples; images are noise, depth and sweep are exact."""
    rng = np.random.default_rng(seed)
    T_world_box = ego_pose(FIRST_STAMP_NS) @ rigid(np.eye(3), (12.0, 3.0, 0.8))
    for index in range(n_samples):
        stamp_ns = FIRST_STAMP_NS + index * STEP_NS
        stamps_ns = np.array([stamp_ns - 43_000_000 + round(c.trigger_offset_ms * 1e6) for c in rig.cameras])
        poses = np.stack([ego_pose(int(stamp)) for stamp in stamps_ns])
        ground_m = np.concatenate([rng.uniform(-25, 25, (400, 2)), np.zeros((400, 1))], axis=1)
        car_m = rng.uniform(-0.5, 0.5, (20, 3)) * (4.0, 1.8, 1.6) @ T_world_box[:3, :3].T + T_world_box[:3, 3]
        car_m = transform(np.linalg.inv(ego_pose(stamp_ns)), car_m)
        sensor_m = transform(np.linalg.inv(T_EGO_LIDAR), np.concatenate([ground_m, car_m]))
        extra = np.stack([rng.uniform(0, 255, 420), rng.integers(0, 32, 420)], axis=1)
        yield RenderedSample(
            stamp_ns=stamp_ns,
            images=tuple(rng.integers(0, 256, (c.height_px, c.width_px, 3), dtype=np.uint8) for c in rig.cameras),
            depth_m=tuple(plane_depth(c, pose) for c, pose in zip(rig.cameras, poses, strict=True)),
            stamps_ns=stamps_ns.astype(np.int64),
            T_world_ego=poses,
            lidar_points=np.concatenate([sensor_m, extra], axis=1).astype(np.float32),
            lidar_stamp_ns=stamp_ns,
            T_world_ego_lidar=ego_pose(stamp_ns),
            boxes=(RenderedBox("car-01", "vehicle.car", T_world_box, (4.0, 1.8, 1.6), (0.0, 0.0, 0.0)),),
        )


@pytest.fixture(scope="session")
def make_drive() -> Callable[..., RenderedDrive]:
    """Return a maker of small drives: `make_drive(name, rig="nuscenes", n_samples=3, seed=0)`."""

    def make(name: str, rig: str = "nuscenes", n_samples: int = 3, seed: int = 0) -> RenderedDrive:
        full = load_rig(rig)
        rendered = full.with_cameras(tuple(small(camera) for camera in full.cameras))
        return RenderedDrive(
            name, "a plane and a car", seed, rendered, T_EGO_LIDAR, n_samples, samples_of(rendered, n_samples, seed)
        )

    return make


@pytest.fixture(scope="session")
def pristine_dgp(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    write_dgp(root, [make_drive(SCENE, rig="ddad", n_samples=2)], split="val")
    return root


@pytest.fixture
def dgp_tree(pristine_dgp, tmp_path) -> Path:
    """A DGP tree of one scene, to damage."""
    return Path(shutil.copytree(pristine_dgp, tmp_path / "tree"))


@pytest.fixture(scope="session")
def pristine_tables(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("cached")
    write_nuscenes(root, [make_drive("scene-0001", n_samples=2)], VERSION)
    return root


@pytest.fixture
def tables(pristine_tables, tmp_path) -> Path:
    return Path(shutil.copytree(pristine_tables, tmp_path / "tree"))


@pytest.fixture
def later(monkeypatch) -> None:
    """A minute goes by between every change of a file and the next look: very young files are not trusted."""
    now_ns = time.time_ns
    monkeypatch.setattr(nuscenes_cache.time, "time_ns", lambda: now_ns() + 60 * 10**9)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "nuscenes"


@pytest.fixture
def builds(monkeypatch) -> list:
    """Counts how often tables are parsed."""
    calls = []
    monkeypatch.setattr(nuscenes_cache, "build_index", lambda files: calls.append(1) or build_index(files))
    return calls
