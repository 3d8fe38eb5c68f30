"""The nuScenes rows of one drive, gathered while its samples are rendered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from surround_depth.data.synthetic.drive_types import RenderedDrive, RenderedSample
from surround_depth.data.writers.annotations import attribute_of, count_lidar_points, visibility_token
from surround_depth.data.writers.files import microseconds, pose_numbers, token_of
from surround_depth.errors import DataError
from surround_depth.geometry import Array, transform

Table = list[dict[str, Any]]
LIDAR_CHANNEL = "LIDAR_TOP"
# What the official devkit insists on.
TABLES = (
    "category",
    "attribute",
    "visibility",
    "instance",
    "sensor",
    "calibrated_sensor",
    "ego_pose",
    "log",
    "scene",
    "sample",
    "sample_data",
    "sample_annotation",
    "map",
)


@dataclass(frozen=True)
class DriveRecord:
    """What the tables need to know of one drive: plain rows, so it travels between processes or as JSON."""

    name: str
    tables: dict[str, Table]


def camera_file(drive: RenderedDrive, channel: str, stamp_ns: int) -> str:
    """Return where an image lies, relative to the root."""
    return f"samples/{channel}/{drive.name}__{channel}__{microseconds(stamp_ns)}.jpg"


def sweep_file(drive: RenderedDrive, sample: RenderedSample) -> str:
    """Return where a LiDAR sweep lies, relative to the root."""
    stamp_us = microseconds(sample.lidar_stamp_ns)
    return f"samples/{LIDAR_CHANNEL}/{drive.name}__{LIDAR_CHANNEL}__{stamp_us}.pcd.bin"


class DriveRows:
    """The rows of one drive, gathered sample by sample. Tokens are made of names, so runs and workers agree."""

    def __init__(self, drive: RenderedDrive) -> None:
        self.drive = drive
        self.tables: dict[str, Table] = {name: [] for name in TABLES}
        self.log_token, self.scene_token = token_of("log", drive.name), token_of("scene", drive.name)
        self.last: dict[tuple[str, str], dict[str, Any]] = {}  # by table and channel or instance: its latest row
        for camera in drive.rig.cameras:
            self._add_sensor(camera.name, "camera", camera.T_ego_cam, camera.K.tolist())
        self._add_sensor(LIDAR_CHANNEL, "lidar", drive.T_ego_lidar, [])

    def add_sample(self, sample: RenderedSample) -> None:
        """Add the rows of one moment."""
        index = len(self.tables["sample"])
        token = token_of("sample", self.drive.name, index)
        row = {"token": token, "timestamp": microseconds(sample.stamp_ns), "scene_token": self.scene_token}
        self._chain("sample", "", row)
        for i, camera in enumerate(self.drive.rig.cameras):
            stamp_ns = int(sample.stamps_ns[i])
            relpath = camera_file(self.drive, camera.name, stamp_ns)
            size = (camera.height_px, camera.width_px)
            self._add_data(index, camera.name, stamp_ns, sample.T_world_ego[i], relpath, size)
        sweep = sweep_file(self.drive, sample)
        self._add_data(index, LIDAR_CHANNEL, sample.lidar_stamp_ns, sample.T_world_ego_lidar, sweep, (0, 0))
        self._add_annotations(index, sample)

    def record(self) -> DriveRecord:
        """Return the drive's rows with its scene, log and instances closed."""
        samples, annotations = self.tables["sample"], self.tables["sample_annotation"]
        if not samples:
            raise DataError(f"drive {self.drive.name} has no sample; render at least one")
        date = datetime.fromtimestamp(samples[0]["timestamp"] // 10**6, tz=UTC).date().isoformat()
        self.tables["log"] = [
            {
                "token": self.log_token,
                "logfile": self.drive.name,
                "vehicle": "synthetic",
                "date_captured": date,
                "location": "synthetic",
            }
        ]
        self.tables["scene"] = [
            {
                "token": self.scene_token,
                "log_token": self.log_token,
                "nbr_samples": len(samples),
                "first_sample_token": samples[0]["token"],
                "last_sample_token": samples[-1]["token"],
                "name": self.drive.name,
                "description": self.drive.description,
            }
        ]
        for instance in self.tables["instance"]:
            own = [row["token"] for row in annotations if row["instance_token"] == instance["token"]]
            instance["nbr_annotations"] = len(own)
            instance["first_annotation_token"], instance["last_annotation_token"] = own[0], own[-1]
        return DriveRecord(self.drive.name, self.tables)

    def _add_sensor(self, channel: str, modality: str, T_ego_sensor: Array, K: list[list[float]]) -> None:
        translation, rotation = pose_numbers(T_ego_sensor)
        self.tables["sensor"].append({"token": token_of("sensor", channel), "channel": channel, "modality": modality})
        self.tables["calibrated_sensor"].append(
            {
                "token": token_of("calibrated_sensor", self.drive.name, channel),
                "sensor_token": token_of("sensor", channel),
                "translation": translation,
                "rotation": rotation,
                "camera_intrinsic": K,
            }
        )

    def _add_data(
        self, index: int, channel: str, stamp_ns: int, T_world_ego: Array, relpath: str, size_px: tuple[int, int]
    ) -> None:
        token = token_of("sample_data", self.drive.name, index, channel)
        translation, rotation = pose_numbers(T_world_ego)
        stamp_us = microseconds(stamp_ns)
        self.tables["ego_pose"].append(
            {"token": token, "timestamp": stamp_us, "rotation": rotation, "translation": translation}
        )
        row = {
            "token": token,
            "sample_token": token_of("sample", self.drive.name, index),
            "ego_pose_token": token,
            "calibrated_sensor_token": token_of("calibrated_sensor", self.drive.name, channel),
            "timestamp": stamp_us,
            "fileformat": "pcd" if channel == LIDAR_CHANNEL else "jpg",
            "is_key_frame": True,
            "height": size_px[0],
            "width": size_px[1],
            "filename": relpath,
        }
        self._chain("sample_data", channel, row)

    def _add_annotations(self, index: int, sample: RenderedSample) -> None:
        """nuScenes annotates what at least one LiDAR point touches."""
        T_world_lidar = sample.T_world_ego_lidar @ self.drive.T_ego_lidar
        points_world_m = transform(T_world_lidar, sample.lidar_points[:, :3].astype(np.float64))
        for box in sample.boxes:
            n_points = count_lidar_points(box, points_world_m)
            if not n_points:
                continue
            instance_token = token_of("instance", self.drive.name, box.instance)
            category_token = token_of("category", box.category)
            if ("sample_annotation", box.instance) not in self.last:
                self.tables["instance"].append({"token": instance_token, "category_token": category_token})
            category = {"token": category_token, "name": box.category, "description": "rendered actor"}
            if category not in self.tables["category"]:
                self.tables["category"].append(category)
            attribute = attribute_of(box)
            translation, rotation = pose_numbers(box.T_world_box)
            length_m, width_m, height_m = map(float, box.size_lwh_m)
            row = {
                "token": token_of("sample_annotation", self.drive.name, index, box.instance),
                "sample_token": token_of("sample", self.drive.name, index),
                "instance_token": instance_token,
                "visibility_token": visibility_token(box, self.drive.rig, sample),
                "attribute_tokens": [token_of("attribute", attribute)] if attribute else [],
                "translation": translation,
                "size": [width_m, length_m, height_m],
                "rotation": rotation,
                "num_lidar_pts": n_points,
                "num_radar_pts": 0,
            }
            self._chain("sample_annotation", box.instance, row)

    def _chain(self, table: str, chain: str, row: dict[str, Any]) -> None:
        """Append a row, linked by `prev` and `next` to the latest of its chain."""
        previous = self.last.get((table, chain))
        row |= {"prev": previous["token"] if previous else "", "next": ""}
        if previous:
            previous["next"] = row["token"]
        self.last[table, chain] = row
        self.tables[table].append(row)
