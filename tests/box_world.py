"""A world simple enough to know exactly: ground and boxes under an empty sky, seen by cameras, computed by numpy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from surround_depth.closing import Closing
from surround_depth.data.sample import DenseTruth, Sample
from surround_depth.frame import PointCloud, SurroundDepth, SurroundFrame
from surround_depth.geometry import Array, Lens, depth_from_range, ray_grid, rigid, transform
from surround_depth.imaging import InputSpec, plan_images
from surround_depth.inference.backend import EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.rig import Camera, Rig

SPEC = InputSpec(height_px=64, width_px=96)
ENGINE = EngineSpec(SPEC, n_cameras=6, min_depth_m=0.5, max_depth_m=80.0, model_hash="0" * 64)
SKY_DEPTH_M = 80.0
R_FORWARD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # ego from a camera that looks along ego x
PINHOLE = Lens()
YAWS_DEG = {"FL": 60, "F": 0, "FR": -60, "BR": -120, "B": 180, "BL": 120}


def yawed(angle_deg: float) -> Array:
    """Return the rotation about ego z."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def make_camera(name: str, yaw_deg: float, height_px: int = 128, width_px: int = 192, lens: Lens = PINHOLE) -> Camera:
    """Return a camera 1.5 m above the ground, half a metre from the ego origin, 70 degrees wide."""
    focal_px = 0.5 * width_px / np.tan(np.radians(35.0))
    K = np.array([[focal_px, 0.0, width_px / 2 - 0.5], [0.0, focal_px, height_px / 2 - 0.5], [0.0, 0.0, 1.0]])
    R = yawed(yaw_deg)
    return Camera(name, height_px, width_px, K, rigid(R @ R_FORWARD, R @ [0.5, 0.0, 0.0] + [0.0, 0.0, 1.5]), lens)


def make_rig(names: tuple[str, ...] = tuple(YAWS_DEG), **camera_options: object) -> Rig:
    """Return a rig of the named cameras."""
    return Rig("box", tuple(make_camera(name, YAWS_DEG[name], **camera_options) for name in names))  # type: ignore[arg-type]


@dataclass(frozen=True)
class BoxWorld:
    """Axis-aligned boxes (low corner, high corner, in world metres) on the ground z = 0."""

    boxes: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = field(
        default=(
            ((12, -2, 0), (16, 2, 2)),
            ((-20, -6, 0), (-8, -4, 3)),
            ((4, 7, 0), (9, 9, 4)),
            ((6, -9, 0), (10, -6, 2)),
        )
    )

    def ranges_m(self, origin_world_m: Array, directions_world: Array) -> Array:
        """Return the distance along unit directions [..., 3] to the first surface, infinite where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ground = -origin_world_m[2] / directions_world[..., 2]
            nearest = np.where(ground > 0.0, ground, np.inf)
            for low, high in self.boxes:
                near = (np.array(low) - origin_world_m) / directions_world
                far = (np.array(high) - origin_world_m) / directions_world
                enter = np.minimum(near, far).max(axis=-1)
                leave = np.maximum(near, far).min(axis=-1)
                nearest = np.where((enter > 0.0) & (enter < leave), np.minimum(nearest, enter), nearest)
        return nearest

    def depth_m(self, camera: Camera, T_world_ego: Array) -> Array:
        """Return the exact z-depth [H, W] of a camera's pixels; NaN where it sees the sky (or has no ray)."""
        T_world_cam = T_world_ego @ camera.T_ego_cam
        rays = ray_grid(camera.height_px, camera.width_px, camera.K, camera.lens)
        ranges_m = self.ranges_m(T_world_cam[:3, 3], rays @ T_world_cam[:3, :3].T)
        depth_m = depth_from_range(ranges_m, rays)
        return np.where(depth_m < 60.0, depth_m, np.nan)

    def image(self, camera: Camera, depth_m: Array) -> np.ndarray:
        """Return a picture [H, W, 3] of a depth map: blue sky, things darker the farther."""
        grey = np.nan_to_num(255.0 / (1.0 + 0.1 * depth_m), nan=0.0)[..., None]
        colors = np.where(np.isnan(depth_m)[..., None], (120, 170, 230), grey * (1.0, 0.9, 0.8))
        return colors.astype(np.uint8)


@dataclass(frozen=True)
class BoxDrive:
    """A drive along world x at 10 m/s and 10 Hz: a `SampleSequence` with exact LiDAR and dense truth."""

    rig: Rig = field(default_factory=make_rig)
    world: BoxWorld = field(default_factory=BoxWorld)
    n_samples: int = 5
    name: str = "box-drive"
    period_ns: int = 100_000_000
    first_stamp_ns: int = 1_600_000_000_000_000_000
    speed_mps: float = 10.0
    stagger_ns: int = 5_000_000
    """Between the shutters of one camera and the next."""
    dead: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.n_samples

    @property
    def stamps_ns(self) -> np.ndarray:
        return self.first_stamp_ns + self.period_ns * np.arange(self.n_samples, dtype=np.int64)

    def pose(self, stamp_ns: int) -> Array:
        """Return T_world_ego at a time."""
        return rigid(np.eye(3), [self.speed_mps * (stamp_ns - self.first_stamp_ns) * 1e-9, 0.0, 0.0])

    def __getitem__(self, index: int) -> Sample:
        stamp_ns = int(self.stamps_ns[index])
        stamps_ns = stamp_ns - self.stagger_ns * np.arange(len(self.rig), dtype=np.int64)[::-1]
        T_world_ego = np.stack([self.pose(int(stamp)) for stamp in stamps_ns])
        depths = [self.world.depth_m(c, T) for c, T in zip(self.rig.cameras, T_world_ego, strict=True)]
        valid = np.array([camera.name not in self.dead for camera in self.rig.cameras])
        images = [
            self.world.image(c, d) if ok else None for c, d, ok in zip(self.rig.cameras, depths, valid, strict=True)
        ]
        frame = SurroundFrame(f"{self.name}/{index}", self.rig, tuple(images), stamps_ns, T_world_ego, valid)
        truth = DenseTruth(tuple(d.astype(np.float32) for d in depths), tuple(np.isnan(d) for d in depths))
        return Sample(frame, self._lidar(stamp_ns), truth)

    def _lidar(self, stamp_ns: int) -> PointCloud:
        """Return a sweep of 16 rings from 1.8 m above the ego origin, in the ego frame at its stamp."""
        T_world_ego = self.pose(stamp_ns)
        azimuth, elevation = np.meshgrid(
            np.linspace(-np.pi, np.pi, 360, endpoint=False), np.radians(np.linspace(-20, 5, 16))
        )
        rays = np.stack(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)], -1
        )
        origin = np.array([0.0, 0.0, 1.8])
        ranges_m = self.world.ranges_m(transform(T_world_ego, origin[None])[0], rays)
        hit = ranges_m < 50.0
        points_m = origin + rays[hit] * ranges_m[hit][:, None]
        beam = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None], hit.shape)[hit]
        return PointCloud(points_m.astype(np.float32), "ego", stamp_ns, T_world_ego=T_world_ego, beam=beam)


class OracleBackend(Closing):
    """An engine that knows the first sample of a drive: its exact depth, whatever the images show, confidence 0.9."""

    def __init__(self, drive: BoxDrive, spec: EngineSpec = ENGINE) -> None:
        self.spec = spec
        self.calls: list[NetworkInputs] = []
        self.closed = False
        T_world_ego = drive[0].frame.T_world_ego
        assert T_world_ego is not None
        cameras = plan_images(drive.rig, spec.input).network_rig.cameras
        self._exact_m = np.stack([drive.world.depth_m(c, T) for c, T in zip(cameras, T_world_ego, strict=True)])

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        inputs.require(self.spec)
        self.calls.append(inputs)
        shape = (self.spec.n_cameras, self.spec.input.height_px, self.spec.input.width_px)
        depth_m = np.full(shape, 7.0, np.float32)  # empty slots answer something: the pipeline must not use it
        depth_m[: len(self._exact_m)] = np.nan_to_num(self._exact_m, nan=SKY_DEPTH_M)
        return NetworkOutputs(depth_m, np.full(shape, 0.9, np.float32))

    def close(self) -> None:
        self.closed = True


def exact_depth(drive: BoxDrive, index: int = 0, spec: InputSpec = SPEC) -> SurroundDepth:
    """Return what a perfect system says of a sample."""
    sample = drive[index]
    plans = plan_images(drive.rig, spec)
    frame = sample.frame
    assert frame.T_world_ego is not None
    depths = [drive.world.depth_m(c, T) for c, T in zip(plans.network_rig.cameras, frame.T_world_ego, strict=True)]
    depth_m = np.where(frame.camera_valid[:, None, None], np.stack(depths), np.nan).astype(np.float32)
    valid = np.isfinite(depth_m)
    return SurroundDepth(
        frame_id=frame.frame_id,
        rig=plans.network_rig,
        depth_m=depth_m,
        valid=valid,
        sky=np.isnan(np.stack(depths)) & frame.camera_valid[:, None, None],
        confidence=np.where(valid, np.float32(0.9), np.float32(0.0)),
        images=plans.prepare(frame.images),
        stamps_ns=frame.stamps_ns,
        T_world_ego=frame.T_world_ego,
        camera_valid=frame.camera_valid,
    )


def single_camera(depth: SurroundDepth, index: int = 0) -> SurroundDepth:
    """Return the depth of one camera of a rig alone."""
    pick = slice(index, index + 1)
    return replace(
        depth,
        rig=depth.rig.select((depth.rig.names[index],)),
        **{
            name: getattr(depth, name)[pick]
            for name in ("depth_m", "valid", "sky", "confidence", "images", "stamps_ns", "camera_valid", "T_world_ego")
        },
    )
