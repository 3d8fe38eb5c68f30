"""One moment on disk, that every loader of the loading benchmark reads: six JPEGs, a LiDAR sweep, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.data.sample import Sample
from surround_depth.errors import DataError
from surround_depth.frame import EncodedImage, PointCloud, SurroundFrame
from surround_depth.geometry import Array, rigid
from surround_depth.imaging import encode_jpeg, read_encoded
from surround_depth.rig import Rig, load_rig

N_RINGS, N_COLUMNS = 32, 1084  # 34,688 points, as a sweep of nuScenes
_LIDAR_HEIGHT_M = 1.84
_SPEED_MPS = 10.0


@dataclass(frozen=True)
class StoredMoment:
    """Where the files of a moment lie, and the calibration that belongs to them. Each `[]` reads the files anew."""

    folder: Path
    rig: Rig
    stamps_ns: NDArray[np.int64]  # [N]
    T_world_ego: Array  # [N, 4, 4] ego pose when each camera fired
    T_world_ego_lidar: Array  # [4, 4] ego pose of the sweep
    lidar_stamp_ns: int
    n_samples: int = 16
    name: str = "benchmark"

    @property
    def lidar_path(self) -> Path:
        """The sweep's points in the ego frame, float32 [P, 3]."""
        return self.folder / "lidar.bin"

    def image_path(self, camera: str) -> Path:
        """Return the JPEG of a camera."""
        return self.folder / f"{camera}.jpg"

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, index: int) -> Sample:
        images = tuple(read_encoded(self.image_path(name)) for name in self.rig.names)
        points_m = np.fromfile(self.lidar_path, np.float32).reshape(-1, 3)
        valid = np.ones(len(self.rig), bool)
        frame = SurroundFrame(f"{self.name}/{index}", self.rig, images, self.stamps_ns, self.T_world_ego, valid)
        return Sample(frame, PointCloud(points_m, "ego", self.lidar_stamp_ns, T_world_ego=self.T_world_ego_lidar))


def store_moment(sample: Sample, folder: Path) -> StoredMoment:
    """Write a recorded sample's files into `folder` and return the moment.

    Raises:
        DataError: a camera's image is missing or no JPEG, or there is no LiDAR sweep or no pose.
    """
    frame, lidar = sample.frame, sample.lidar
    if lidar is None or lidar.T_world_ego is None or frame.T_world_ego is None:
        raise DataError(f"frame {frame.frame_id}: the loading benchmark needs a LiDAR sweep and ego poses")
    moment = StoredMoment(
        folder, frame.rig, frame.stamps_ns, frame.T_world_ego, lidar.T_world_ego, lidar.stamp_ns, name=frame.frame_id
    )
    folder.mkdir(parents=True, exist_ok=True)
    for camera, image in zip(frame.rig.names, frame.images, strict=True):
        if not isinstance(image, EncodedImage) or not image.data.startswith(b"\xff\xd8"):
            raise DataError(f"frame {frame.frame_id}: {camera} has no JPEG; the loading benchmark decodes JPEGs")
        moment.image_path(camera).write_bytes(image.data)
    lidar.points_m.tofile(moment.lidar_path)
    return moment


def made_up_sample() -> Sample:
    """Return a sample of the shipped nuScenes rig at 10 m/s: textured 1600 x 900 JPEGs of about 140 kB, 34,688 points.

    For machines without a data set. A decoder's time depends on the bytes, which are as many as in real pictures.
    """
    rig, rng = load_rig("nuscenes"), np.random.default_rng(0)
    images = []
    for camera in rig.cameras:
        jpeg = encode_jpeg(_texture(camera.height_px, camera.width_px, rng), quality=82)
        images.append(EncodedImage(jpeg, camera.name))
    offsets_s = np.array([camera.trigger_offset_ms for camera in rig.cameras]) / 1000.0
    poses = np.stack([rigid(np.eye(3), [_SPEED_MPS * offset_s, 0.0, 0.0]) for offset_s in offsets_s])
    stamps_ns = 1_000_000_000 + (offsets_s * 1e9).astype(np.int64)
    frame = SurroundFrame("made-up", rig, tuple(images), stamps_ns, poses, np.ones(len(rig), bool))
    return Sample(frame, PointCloud(_sweep_m(rng), "ego", 1_000_000_000, T_world_ego=np.eye(4)))


def _texture(height_px: int, width_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return noise of several scales, the coarse ones strongest, as pictures have it."""
    picture = np.full((height_px, width_px, 3), 120.0, np.float32)
    for step_px, amplitude in ((200, 60.0), (50, 20.0), (24, 12.0)):
        coarse = rng.normal(0.0, amplitude, (height_px // step_px + 2, width_px // step_px + 2, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)


def _sweep_m(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the points [P, 3] of a spinning LiDAR over a flat road with things on it, in the ego frame."""
    elevation = np.repeat(np.radians(np.linspace(-30.67, 10.67, N_RINGS)), N_COLUMNS)
    azimuth = np.tile(np.linspace(0.0, 2 * np.pi, N_COLUMNS, endpoint=False), N_RINGS)
    things_m = np.repeat(rng.uniform(4.0, 70.0, (N_RINGS, 1 + N_COLUMNS // 20)), 20, axis=1)[:, :N_COLUMNS].ravel()
    road_m = np.where(elevation < 0, _LIDAR_HEIGHT_M / np.maximum(np.sin(-elevation), 1e-6), np.inf)
    range_m = np.minimum(road_m, things_m)
    ahead = range_m * np.cos(elevation)
    xyz = (ahead * np.cos(azimuth), ahead * np.sin(azimuth), _LIDAR_HEIGHT_M + range_m * np.sin(elevation))
    return np.stack(xyz, axis=-1).astype(np.float32)
