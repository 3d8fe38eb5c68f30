"""A drive without files: three cameras over a flat road under a sky, exact depth, LiDAR on a grid of road points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from surround_depth.data.sample import DenseTruth, Sample
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.geometry import ray_grid, rigid
from surround_depth.rig import Camera, Rig

HEIGHT_PX, WIDTH_PX, CAMERA_HEIGHT_M = 64, 96, 1.5


def yawed_pose(yaw_rad: float) -> np.ndarray:
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    R_ego_forward = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    R_forward_cam = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
    return rigid(R_ego_forward @ R_forward_cam, np.array([0.3 * c, 0.3 * s, CAMERA_HEIGHT_M]))


def flat_road_rig() -> Rig:
    K = np.array([[70.0, 0, 47.5], [0, 70.0, 31.5], [0, 0, 1]])
    own_body = np.zeros((HEIGHT_PX, WIDTH_PX), bool)
    own_body[-4:] = True
    cameras = [
        Camera(name, HEIGHT_PX, WIDTH_PX, K, yawed_pose(yaw), own_body=own_body)
        for name, yaw in (("LEFT", 0.9), ("FRONT", 0.0), ("RIGHT", -0.9))
    ]
    return Rig("flat", tuple(cameras))


def road_depth_m(camera: Camera) -> np.ndarray:
    rays = ray_grid(HEIGHT_PX, WIDTH_PX, camera.K, camera.lens)
    down = -(rays @ camera.T_ego_cam[:3, :3].T)[..., 2]
    with np.errstate(divide="ignore"):
        depth_m = np.where(down > 0, CAMERA_HEIGHT_M / down * rays[..., 2], np.nan)
    return np.where(depth_m < 60.0, depth_m, np.nan).astype(np.float32)


@dataclass(frozen=True)
class FakeSequence:
    name: str = "fake-0"
    n_samples: int = 3

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, index: int) -> Sample:
        rig, rng = flat_road_rig(), np.random.default_rng(index)
        depth_m = tuple(road_depth_m(camera) for camera in rig.cameras)
        grain = rng.uniform(0, 20, (HEIGHT_PX, WIDTH_PX, 3))
        images = tuple(
            (np.nan_to_num(255 / d, nan=0.0)[..., None] + grain).clip(0, 255).astype(np.uint8) for d in depth_m
        )
        poses = np.tile(np.eye(4), (3, 1, 1))
        frame = SurroundFrame(
            f"{self.name}/{index}", rig, images, np.full(3, 1_000_000 + index, np.int64), poses, np.ones(3, bool)
        )
        x, y = np.meshgrid(np.linspace(-2, 30, 90), np.linspace(-20, 20, 90))
        points_m = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3).astype(np.float32)
        lidar = PointCloud(points_m, "ego", 1_000_000 + index, T_world_ego=np.eye(4))
        return Sample(frame, lidar, DenseTruth(depth_m, tuple(np.isnan(d) for d in depth_m)))


def moving(sample: Sample) -> Sample:
    """Return the sample as if every camera had fired from another place, 0.3 m and 2 degrees further to the left."""
    poses = np.stack([yawed(0.035 * i, [10 + 0.3 * i, 0.1 * i, 0.0]) for i in range(3)])
    assert sample.lidar is not None
    # points at random: those of a symmetric grid can lie exactly between two pixels, where left and right round apart
    points_m = np.random.default_rng(5).uniform([-2, -20, 0], [30, 20, 0.01], (4000, 3)).astype(np.float32)
    lidar = replace(sample.lidar, points_m=points_m, T_world_ego=yawed(0.02, [10.1, 0.0, 0.0]))
    return replace(sample, frame=replace(sample.frame, T_world_ego=poses), lidar=lidar)


def yawed(yaw_rad: float, t_m: list[float]) -> np.ndarray:
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return rigid(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), t_m)
