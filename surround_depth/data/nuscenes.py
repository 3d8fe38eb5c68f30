"""nuScenes key frames as samples: each camera with its own stamp and ego pose, the LiDAR sweep in the ego frame.

Own reader of the JSON tables: the official devkit needs tables, links and a numpy that a vehicle has not got; it is the
witness in tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.assemble import CameraReading, assemble_frame, in_ring_order
from surround_depth.data.nuscenes_tables import KeyFrame, Reading, find_version, read_tables
from surround_depth.data.paths import path_inside, read_own_body, require_root
from surround_depth.data.sample import Sample
from surround_depth.errors import CalibrationError, DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import transform
from surround_depth.imaging import read_encoded
from surround_depth.rig import Camera, Rig

# Nominal firing times after CAM_FRONT_LEFT: the spinning LiDAR triggers each camera as it sweeps past. Stamps of sample
# ca9a282c9e77460f8360f564131a8af5.
TRIGGER_OFFSET_MS = {
    "CAM_FRONT_LEFT": 0.0,
    "CAM_FRONT": 7.6,
    "CAM_FRONT_RIGHT": 15.5,
    "CAM_BACK_RIGHT": 23.0,
    "CAM_BACK": 32.7,
    "CAM_BACK_LEFT": 42.6,
}
LIDAR_FIELDS = 5  # x, y, z, intensity, ring: float32


class NuScenesDataset:
    """The key frames of one version of a nuScenes tree.

    Args:
        root: folder that holds `samples/` and the version folder(s).
        version: folder of the tables, e.g. "v1.0-mini"; not needed where there is only one.
        cameras: channels to read, in this order; by default every camera of a scene, in ring order.
        own_body_dir: folder with `CHANNEL.png` masks (255 = keep, 0 = own vehicle), attached to the rig.

    Raises:
        DataError: no such folder or version, a damaged table, or a row that refers to nothing.
    """

    name = "nuscenes"
    licence = "nuScenes: CC BY-NC-SA 4.0 and the nuScenes terms of use (non-commercial; do not redistribute)"

    def __init__(
        self,
        root: str | Path,
        version: str | None = None,
        cameras: tuple[str, ...] | None = None,
        own_body_dir: Path | None = None,
    ) -> None:
        self.root = require_root(root, "nuScenes")
        self.version = find_version(self.root, version)
        self._tables = read_tables(self.root / self.version)
        self._cameras = cameras
        self._own_body_dir = own_body_dir

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes that have samples, sorted."""
        return tuple(self._tables.scenes)

    def sequence(self, scene: str) -> NuScenesSequence:
        """Return the samples of a scene in order of time."""
        if scene not in self._tables.scenes:
            raise DataError(f"{self.root / self.version} has no scene {scene!r}; it has {_some(self.scenes())}")
        frames = self._tables.scenes[scene]
        cameras = self._cameras or self._tables.channels.get("camera", ())
        lidars = self._tables.channels.get("lidar", ())
        first = {name: next((f.readings[name] for f in frames if name in f.readings), None) for name in cameras}
        unknown = [name for name in self._cameras or () if first[name] is None]
        if unknown:
            raise DataError(f"scene {scene} has no image of {', '.join(unknown)}; its cameras are {_some(cameras)}")
        present = {name: reading for name, reading in first.items() if reading is not None}
        if not present:
            raise DataError(f"scene {scene} has no camera image in {self.version}/sample_data.json")
        return NuScenesSequence(scene, self.root, frames, present, lidars, self._own_body_dir, self._cameras is None)


@dataclass(frozen=True)
class NuScenesSequence:
    """The samples of one scene. Made by `NuScenesDataset.sequence`."""

    name: str
    root: Path
    frames: tuple[KeyFrame, ...]
    cameras: dict[str, Reading]  # per camera its first reading, whose calibration stands in where it recorded nothing
    lidars: tuple[str, ...]
    own_body_dir: Path | None
    reorder: bool  # into ring order
    _rigs: dict[tuple[str, ...], Rig] = field(default_factory=dict)
    _masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        key_frame = self.frames[index]
        rig = self._rig(key_frame)
        readings = [self._camera(key_frame.readings.get(name)) for name in rig.names]
        lidar = next((key_frame.readings[name] for name in self.lidars if name in key_frame.readings), None)
        cloud = None if lidar is None else read_sweep(self.root, lidar)
        return Sample(assemble_frame(key_frame.token, rig, readings), cloud)

    def _camera(self, reading: Reading | None) -> CameraReading | None:
        if reading is None:
            return None
        path = path_inside(self.root, reading.data.text("filename"), reading.data.label)
        return CameraReading(read_encoded(path), reading.stamp_ns, reading.T_world_ego)

    def _rig(self, key_frame: KeyFrame) -> Rig:
        """Return this key frame's rig: the same object as long as the calibration stays the same."""
        readings = {name: key_frame.readings.get(name, first) for name, first in self.cameras.items()}
        key = tuple(reading.data.text("calibrated_sensor_token") for reading in readings.values())
        if key not in self._rigs:
            cameras = tuple(self._mounted_camera(name, reading) for name, reading in readings.items())
            rig = Rig("nuscenes", cameras, f"nuScenes tables, scene {self.name}")
            self._rigs[key] = in_ring_order(rig) if self.reorder else rig
        return self._rigs[key]

    def _mounted_camera(self, name: str, reading: Reading) -> Camera:
        height_px, width_px = reading.data.integer("height"), reading.data.integer("width")
        try:
            return Camera(
                name,
                height_px,
                width_px,
                reading.K,
                reading.T_ego_sensor,
                trigger_offset_ms=TRIGGER_OFFSET_MS.get(name, 0.0),
                own_body=self._own_body(name, height_px, width_px),
            )
        except CalibrationError as error:
            raise DataError(f"{reading.calibration.label} of {reading.data.label}: {error}") from error

    def _own_body(self, name: str, height_px: int, width_px: int) -> NDArray[np.bool_] | None:
        if self.own_body_dir is None or not (self.own_body_dir / f"{name}.png").is_file():
            return None
        if name not in self._masks:
            self._masks[name] = read_own_body(self.own_body_dir / f"{name}.png", height_px, width_px)
        return self._masks[name]


def read_sweep(root: Path, reading: Reading) -> PointCloud:
    """Return a LiDAR sweep in the ego frame at the sweep's own stamp.

    Raises:
        DataError: the file is missing, not whole records of five float32, or holds values that are not finite.
    """
    label = reading.data.label
    path = path_inside(root, reading.data.text("filename"), label)
    n_bytes = path.stat().st_size
    record_bytes = 4 * LIDAR_FIELDS
    if n_bytes % record_bytes:
        raise DataError(
            f"{label}: sweep {path} has {n_bytes} bytes, not a multiple of {record_bytes} (five float32 a point); "
            "it is cut short or of another format: download or copy it again"
        )
    records = np.fromfile(path, dtype="<f4").reshape(-1, LIDAR_FIELDS)
    if not np.isfinite(records[:, :4]).all():
        raise DataError(f"{label}: sweep {path} holds values that are not finite; download or copy it again")
    points_m = transform(reading.T_ego_sensor, records[:, :3].astype(np.float64))
    return PointCloud(
        points_m.astype(np.float32),
        "ego",
        reading.stamp_ns,
        frame_id=reading.data.text("sample_token"),
        T_world_ego=reading.T_world_ego,
        intensity=records[:, 3].copy(),
    )


def _some(names: tuple[str, ...], limit: int = 12) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more if names else "none"
