"""A synthetic drive: from a seed to images, exact depth, LiDAR and poses. The one entrance of the renderer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from surround_depth.data.synthetic import lidar
from surround_depth.data.synthetic.camera_view import CameraView
from surround_depth.data.synthetic.drive_types import RenderedDrive, RenderedSample
from surround_depth.data.synthetic.ego import LENGTH_M, EgoMotion, ego_body
from surround_depth.data.synthetic.lighting import LIGHTINGS, bake_sky, draw_lighting
from surround_depth.data.synthetic.mesh import Mesh
from surround_depth.data.synthetic.raycast import RayScene
from surround_depth.data.synthetic.road import make_road
from surround_depth.data.synthetic.scene import build_static
from surround_depth.data.synthetic.traffic import build_traffic
from surround_depth.data.synthetic.vehicles import draw_paint
from surround_depth.data.synthetic.world import World
from surround_depth.errors import ConfigError
from surround_depth.rig import Rig

_EPOCH_NS = 1_700_000_000 * 1_000_000_000
_SEED_STEP_NS = 3600 * 1_000_000_000
_LONGEST_DRIVE_M = 600.0  # beyond it the road no longer grows; it ends 230 m later
_LIDAR_AFTER_LAST_CAMERA_S = 0.0005


@dataclass(frozen=True)
class DriveConfig:
    """What to render. Equal configs give equal bytes; each choice left at None is drawn from the seed."""

    seed: int
    rig: Rig  # images are rendered at its sizes
    n_frames: int
    frame_interval_s: float = 0.5
    lighting: str | None = None
    speed_mps: float | None = None
    busy: float | None = None  # traffic and people, 0 to 1

    def __post_init__(self) -> None:
        if self.seed < 0 or self.n_frames < 1 or self.frame_interval_s <= 0:
            raise ConfigError(
                f"drive: got seed {self.seed}, n_frames {self.n_frames}, frame_interval_s {self.frame_interval_s}; "
                "they must be >= 0, >= 1 and > 0"
            )
        if self.lighting is not None and self.lighting not in LIGHTINGS:
            raise ConfigError(f"lighting {self.lighting!r} is not one of {', '.join(LIGHTINGS)}")
        if self.speed_mps is not None and not 0 <= self.speed_mps <= 30:
            raise ConfigError(f"speed_mps is {self.speed_mps}, expected 0 to 30")
        if self.busy is not None and not 0 <= self.busy <= 1:
            raise ConfigError(f"busy is {self.busy}, expected 0 to 1")

    @property
    def name(self) -> str:
        """Name of the drive."""
        return f"scene-{self.seed:04d}"


def render_drive(config: DriveConfig) -> RenderedDrive:
    """Return the drive of a config; its samples are rendered as they are iterated, once.

    Raises:
        MissingDependencyError: open3d is not installed.
        ConfigError: the drive is longer than its road.
    """
    layout_seed, sky_seed, noise_seed, traffic_seed = np.random.SeedSequence(config.seed).spawn(4)
    layout, traffic, sky_generator = (np.random.default_rng(s) for s in (layout_seed, traffic_seed, sky_seed))
    duration_s = config.n_frames * config.frame_interval_s
    speed = config.speed_mps if config.speed_mps is not None else float(traffic.uniform(4.0, 13.0))
    drive_m = min(speed * duration_s, _LONGEST_DRIVE_M)
    road = make_road(layout, drive_m)
    lane = int(traffic.integers(road.lanes_per_side))
    a, b, c, e = (float(phase) for phase in traffic.uniform(0, 2 * np.pi, 4))
    ego = EgoMotion(road, speed, 0.2 - (lane + 0.5) * road.lane_m, (a, b, c, e))
    _require_road(config, ego)
    static = build_static(layout, road, drive_m)
    busy = config.busy if config.busy is not None else float(traffic.random())
    actors = build_traffic(traffic, road, ego, duration_s, busy=busy)
    lighting = config.lighting or draw_lighting(sky_generator)
    sky = bake_sky(lighting, sky_generator)
    body = ego_body(config.rig, draw_paint(traffic))
    world = World(road, static, actors, ego, body, sky)
    views = tuple(CameraView.of(camera) for camera in config.rig.cameras)
    rig = _with_own_body(config.rig, views, body)
    words = (
        f"{static.districts[0]} / {static.districts[1]}, {road.lanes_per_side} lanes a side, "
        f"{len(road.crossings)} crossings, {lighting}, {len(actors)} movers"
    )
    samples = _samples(config, world, views, noise_seed)
    return RenderedDrive(config.name, words, config.seed, rig, lidar.T_EGO_LIDAR, config.n_frames, samples)


def _require_road(config: DriveConfig, ego: EgoMotion) -> None:
    """Raise `ConfigError` where the ego would reach the end of its road."""
    end_m = ego.road.end_m - LENGTH_M
    fits = sum(ego.s_at(index * config.frame_interval_s) < end_m for index in range(config.n_frames))
    if fits < config.n_frames:
        raise ConfigError(
            f"{config.name}: at {ego.speed_mps:.1f} m/s {config.n_frames} frames of {config.frame_interval_s} s go "
            f"beyond the end of its road at {end_m:.0f} m; {fits} frames fit"
        )


def _with_own_body(rig: Rig, views: tuple[CameraView, ...], body: Mesh) -> Rig:
    scene = RayScene(body.corners_m)
    masks = [view.own_body(scene) for view in views]
    cameras = tuple(camera.with_own_body(mask) for camera, mask in zip(rig.cameras, masks, strict=True))
    return replace(rig, cameras=cameras)


def _samples(
    config: DriveConfig, world: World, views: tuple[CameraView, ...], noise_seed: np.random.SeedSequence
) -> Iterator[RenderedSample]:
    base_ns = _EPOCH_NS + config.seed * _SEED_STEP_NS
    offsets_s = np.array([camera.trigger_offset_ms for camera in config.rig.cameras]) / 1000.0
    lidar_offset_s = float(offsets_s.max()) + _LIDAR_AFTER_LAST_CAMERA_S
    for index, frame_seed in enumerate(noise_seed.spawn(config.n_frames)):
        noise = np.random.default_rng(frame_seed)
        start_s = index * config.frame_interval_s
        images, depths, poses = [], [], []
        for view, offset_s in zip(views, offsets_s, strict=True):
            time_s = start_s + float(offset_s)
            T_world_ego = world.ego.T_world_ego(time_s)
            image, depth_m = view.render(world, world.moment(time_s), T_world_ego, noise)
            images.append(image)
            depths.append(depth_m)
            poses.append(T_world_ego)
        lidar_time_s = start_s + lidar_offset_s
        lidar_stamp_ns = base_ns + round(lidar_time_s * 1e6) * 1000
        yield RenderedSample(
            stamp_ns=lidar_stamp_ns,
            images=tuple(images),
            depth_m=tuple(depths),
            stamps_ns=np.array([base_ns + round((start_s + float(o)) * 1e6) * 1000 for o in offsets_s], dtype=np.int64),
            T_world_ego=np.stack(poses),
            lidar_points=lidar.sweep(world, lidar_time_s, noise),
            lidar_stamp_ns=lidar_stamp_ns,
            T_world_ego_lidar=world.ego.T_world_ego(lidar_time_s),
            boxes=world.boxes(lidar_time_s),
        )
