"""The samples of one nuScenes scene: images, sweeps and boxes, read when asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.assemble import CameraReading, assemble_frame, in_ring_order
from surround_depth.data.mask_folder import MaskFolder
from surround_depth.data.nuscenes_index import Reading, pose_of
from surround_depth.data.nuscenes_moments import Moments, SceneReadings
from surround_depth.data.paths import path_inside, reason_of
from surround_depth.data.row_columns import NS_PER_US
from surround_depth.data.sample import Box, Sample, moments_around
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
CONDITION_WORDS = ("night", "rain")  # that nuScenes writes into the description of a scene


@dataclass(frozen=True, eq=False)
class NuScenesSequence:
    """The samples of one scene. Made by `NuScenesDataset.sequence`.

    Raises:
        DataError: a camera lacks its own-body mask, where none may.
    """

    readings: SceneReadings
    root: Path
    moments: Moments
    cameras: dict[str, Reading]  # per camera its first reading, whose calibration stands in where it recorded nothing
    masks: MaskFolder | None
    reorder: bool  # into ring order
    sweep_fault: str | None = None  # why the records between key frames may not be read
    box_fault: str | None = None  # why the annotations may not be read
    _rigs: dict[tuple[int, ...], Rig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.masks is not None:
            self.masks.require(self.cameras)

    @property
    def name(self) -> str:
        """Name of the scene."""
        return self.readings.scene.name

    @property
    def conditions(self) -> tuple[str, ...]:
        """Those of "night" and "rain" that the scene's description holds as whole words."""
        words = set(re.findall(r"[a-z]+", self.readings.scene.description.lower()))
        return tuple(word for word in CONDITION_WORDS if word in words)

    @property
    def description(self) -> str:
        """What the tables say of the scene."""
        return self.readings.scene.description

    @property
    def split_items(self) -> tuple[str, ...]:
        """What a split calls each sample: its token."""
        return tuple(self.moments.tokens)

    def __len__(self) -> int:
        return len(self.moments)

    def __getitem__(self, index: int) -> Sample:
        rig = self._rig(index)
        cameras = [self._camera(self._reading(name, index)) for name in rig.names]
        lidar = self._lidar(index)
        cloud = None if lidar is None else read_sweep(self.root, lidar)
        return Sample(assemble_frame(self.moments.tokens[index], rig, cameras), cloud)

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        """Return up to `before` + 1 + `after` LiDAR sweeps around sample `index` in order of time, its own among them.

        Of all sweeps of the scene, 20 Hz in nuScenes, each in the ego frame at its own stamp; empty where the sample
        has no sweep.

        Raises:
            DataError: a sweep is missing or damaged, or a row of the tables between key frames is broken.
        """
        own = self._lidar(index)
        if own is None:
            return ()
        if self.sweep_fault is not None:
            raise DataError(self.sweep_fault)
        rows = self.readings.of_channel(self.readings.index.channels[own.channel].name)
        place = int(np.searchsorted(rows, own.row))
        around = rows[max(0, place - before) : place + after + 1]
        return tuple(read_sweep(self.root, Reading(own.index, int(row))) for row in around)

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return the annotated boxes of sample `index`; empty between key frames and where there are no annotations.

        Raises:
            DataError: a row of the annotation tables is broken.
        """
        if self.box_fault is not None:
            raise DataError(self.box_fault)
        sample = int(self.moments.samples[index])
        return () if sample < 0 else tuple(self._boxes_of(sample))

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        """Return the boxes of the annotated moments from the last before `first_ns` to the first after `last_ns`.

        Of all samples of the scene, whatever the rate and the split.

        Raises:
            DataError: a row of the annotation tables is broken.
        """
        if self.box_fault is not None:
            raise DataError(self.box_fault)
        tables, samples = self.readings.index, np.array(self.readings.samples, np.int64)
        annotated = samples[tables.box_starts[samples + 1] > tables.box_starts[samples]]
        stamps_ns = tables.samples["stamp_us"][annotated] * NS_PER_US
        around = (int(annotated[place]) for place in moments_around(stamps_ns, first_ns, last_ns))
        return tuple(box for sample in around for box in self._boxes_of(sample))

    def _boxes_of(self, sample: int) -> Iterator[Box]:
        tables = self.readings.index
        start, stop = tables.box_starts[sample : sample + 2].tolist()
        stamp_ns = int(tables.samples[sample]["stamp_us"]) * NS_PER_US
        for row in tables.boxes[start:stop]:
            width_m, length_m, height_m = row["size_wlh_m"].tolist()
            category, track = tables.categories[row["category"]], tables.book.text(row["instance"])
            yield Box(pose_of(row), (length_m, width_m, height_m), category, track, stamp_ns)

    def _reading(self, channel: str, index: int) -> Reading | None:
        row = int(self.moments.rows[channel][index])
        return None if row < 0 else Reading(self.readings.index, row)

    def _lidar(self, index: int) -> Reading | None:
        readings = (self._reading(name, index) for name in self.readings.index.channels_of("lidar"))
        return next((reading for reading in readings if reading is not None), None)

    def _camera(self, reading: Reading | None) -> CameraReading | None:
        if reading is None:
            return None
        path = path_inside(self.root, reading.filename, reading.label)
        return CameraReading(read_encoded(path), reading.stamp_ns, reading.T_world_ego)

    def _rig(self, index: int) -> Rig:
        """Return this sample's rig: the same object as long as the calibration stays the same."""
        readings = {name: self._reading(name, index) or first for name, first in self.cameras.items()}
        key = tuple(reading.calibration for reading in readings.values())
        if key not in self._rigs:
            cameras = tuple(self._mounted_camera(name, reading) for name, reading in readings.items())
            rig = Rig("nuscenes", cameras, f"nuScenes tables, scene {self.name}")
            self._rigs[key] = in_ring_order(rig) if self.reorder else rig
        return self._rigs[key]

    def _mounted_camera(self, name: str, reading: Reading) -> Camera:
        height_px, width_px = reading.size_px
        try:
            return Camera(
                name,
                height_px,
                width_px,
                reading.K,
                reading.T_ego_sensor,
                trigger_offset_ms=TRIGGER_OFFSET_MS.get(name, 0.0),
                own_body=None if self.masks is None else self.masks.read(name, height_px, width_px),
            )
        except CalibrationError as error:
            raise DataError(f"{reading.calibration_label} of {reading.label}: {error}") from error


def read_sweep(root: Path, reading: Reading) -> PointCloud:
    """Return a LiDAR sweep in the ego frame at the sweep's own stamp.

    Raises:
        DataError: the file is missing, empty, not whole records of five float32, or holds values that are not finite.
    """
    label = reading.label
    path = path_inside(root, reading.filename, label)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{label}: sweep {path} cannot be read ({reason_of(error)}); copy it again") from error
    record_bytes = 4 * LIDAR_FIELDS
    if not content or len(content) % record_bytes:
        raise DataError(
            f"{label}: sweep {path} has {len(content)} bytes, not a multiple of {record_bytes} (five float32 a point) "
            "above none; it is cut short or of another format: download or copy it again"
        )
    records = np.frombuffer(content, dtype="<f4").reshape(-1, LIDAR_FIELDS)
    if not np.isfinite(records[:, :4]).all():
        raise DataError(f"{label}: sweep {path} holds values that are not finite; download or copy it again")
    with np.errstate(over="ignore"):  # PointCloud refuses what float32 cannot hold
        points_m = transform(reading.T_ego_sensor, records[:, :3].astype(np.float64)).astype(np.float32)
    return PointCloud(
        points_m,
        "ego",
        reading.stamp_ns,
        frame_id=reading.sample_token,
        T_world_ego=reading.T_world_ego,
        intensity=records[:, 3].copy(),
        beam=_beams(records[:, 4]),
    )


def _beams(ring: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """Return the beam of each point; None where the file does not count them in whole numbers."""
    if not np.isfinite(ring).all():
        return None
    beam = np.clip(ring, 0.0, 255.0).astype(np.uint8)
    return beam if np.array_equal(beam, ring) else None
