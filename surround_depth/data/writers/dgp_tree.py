"""Write rendered drives as a genuine DGP tree, as DDAD is: scene list, scene JSON, calibration, images, point clouds.

A worker process may write one drive's files and hand back its `SceneRecord`; `write_scene_list` merges the records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from surround_depth.data.dgp_scene import SPLITS
from surround_depth.data.paths import OWN_BODY_FOLDER
from surround_depth.data.stable_bytes import json_bytes, npz_bytes
from surround_depth.data.synthetic.drive_types import RenderedDrive, RenderedSample
from surround_depth.data.truth_sidecar import write_dense_truth
from surround_depth.data.writers.files import (
    check_drive,
    check_sample,
    microseconds,
    pose_numbers,
    write_own_body,
)
from surround_depth.errors import DataError
from surround_depth.files import write_atomic
from surround_depth.geometry import Array, transform
from surround_depth.imaging import encode_jpeg

LIDAR_NAME = "LIDAR"
SCENE_LIST = "scene_dataset_v1.0.json"
_LOG = "surround_depth synthetic"
_LIDAR_INTRINSICS = {"fx": 0.0, "fy": 0.0, "cx": 0.0, "cy": 0.0, "skew": 0.0}


@dataclass(frozen=True)
class SceneRecord:
    """What the scene list needs to know of one drive."""

    name: str
    filename: str  # of the scene JSON, relative to the root


def write_dgp_drive_files(root: Path, drive: RenderedDrive) -> SceneRecord:
    """Write the folder of one drive: images, clouds, dense depth, calibration, and the scene JSON last."""
    check_drive(drive)
    for camera in drive.rig.cameras:
        write_own_body(root / OWN_BODY_FOLDER / f"{camera.name}_mask.png", camera)
    calibration = json_bytes(_calibration(drive))
    calibration_key = hashlib.sha1(calibration, usedforsecurity=False).hexdigest()
    write_atomic(root / drive.name / "calibration" / f"{calibration_key}.json", calibration)
    samples, data = [], []
    for index, sample in enumerate(drive.samples):
        check_sample(drive, sample)
        _write_sample_files(root, drive, sample)
        records = _data_of(drive, sample, index)
        data += records
        samples.append(
            {
                "calibration_key": calibration_key,
                "datum_keys": [record["key"] for record in records],
                "id": _id(sample.stamp_ns, "", index),
                "metadata": {},
            }
        )
    if not samples:
        raise DataError(f"drive {drive.name} has no sample; render at least one")
    _link(data, per_sample=len(drive.rig) + 1)
    scene = json_bytes(
        {
            "name": drive.name,
            "description": drive.description,
            "log": _LOG,
            "metadata": {},
            "ontologies": {},
            "samples": samples,
            "data": data,
        }
    )
    filename = f"{drive.name}/scene_{hashlib.sha1(scene, usedforsecurity=False).hexdigest()}.json"
    write_atomic(root / filename, scene)
    return SceneRecord(drive.name, filename)


def write_scene_list(root: Path, splits: Mapping[str, Sequence[SceneRecord]]) -> None:
    """Write `scene_dataset_v1.0.json` with the drives of each split ("train", "val", "test", "train_overfit")."""
    numbers = {name: number for number, name in SPLITS.items()}
    unknown = [split for split in splits if split not in numbers]
    if unknown:
        raise DataError(f"split {unknown[0]!r} is not one of {', '.join(numbers)}")
    content = {
        "metadata": {
            "name": "surround_depth_synthetic",
            "version": "1",
            "creator": "surround_depth",
            "description": "Rendered drives.",
            "origin": "INTERNAL",
            "available_annotation_types": [],
        },
        "scene_splits": {
            numbers[split]: {"filenames": sorted(record.filename for record in records)}
            for split, records in splits.items()
        },
    }
    write_atomic(root / SCENE_LIST, json_bytes(content))


def _write_sample_files(root: Path, drive: RenderedDrive, sample: RenderedSample) -> None:
    for i, camera in enumerate(drive.rig.cameras):
        relpath = f"{drive.name}/{_image_file(camera.name, int(sample.stamps_ns[i]))}"
        write_atomic(root / relpath, encode_jpeg(sample.images[i]))
        write_dense_truth(root, relpath, sample.depth_m[i])
    points_m = transform(drive.T_ego_lidar, sample.lidar_points[:, :3].astype(np.float64))
    intensity = sample.lidar_points[:, 3:4].astype(np.float64) / 255.0
    cloud = npz_bytes("data", np.concatenate([points_m, intensity], axis=1))
    write_atomic(root / drive.name / _cloud_file(sample.lidar_stamp_ns), cloud)


def _data_of(drive: RenderedDrive, sample: RenderedSample, index: int) -> list[dict[str, Any]]:
    cloud = {
        "filename": _cloud_file(sample.lidar_stamp_ns),
        "pose": _pose(sample.T_world_ego_lidar),
        "point_format": ["X", "Y", "Z", "INTENSITY"],
        "point_fields": [],
        "annotations": {},
        "metadata": {},
    }
    records = [_datum(drive, LIDAR_NAME, sample.lidar_stamp_ns, index, {"point_cloud": cloud})]
    for i, camera in enumerate(drive.rig.cameras):
        stamp_ns = int(sample.stamps_ns[i])
        image = {
            "filename": _image_file(camera.name, stamp_ns),
            "height": camera.height_px,
            "width": camera.width_px,
            "channels": 3,
            "pose": _pose(sample.T_world_ego[i] @ camera.T_ego_cam),
            "annotations": {},
            "metadata": {},
        }
        records.append(_datum(drive, camera.name, stamp_ns, index, {"image": image}))
    return records


def _datum(drive: RenderedDrive, name: str, stamp_ns: int, index: int, datum: dict[str, Any]) -> dict[str, Any]:
    key = hashlib.sha1(f"{drive.name}/{index}/{name}".encode(), usedforsecurity=False).hexdigest()
    return {"key": key, "id": _id(stamp_ns, name, index), "datum": datum, "prev_key": "", "next_key": ""}


def _link(data: list[dict[str, Any]], per_sample: int) -> None:
    """Link each sensor's data in order of time."""
    for earlier, later in zip(data, data[per_sample:], strict=False):
        earlier["next_key"], later["prev_key"] = later["key"], earlier["key"]


def _id(stamp_ns: int, name: str, index: int) -> dict[str, str]:
    stamp_us = microseconds(stamp_ns)
    whole = datetime.fromtimestamp(stamp_us // 10**6, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {"log": _LOG, "name": name, "timestamp": f"{whole}.{stamp_us % 10**6:06d}Z", "index": str(index)}


def _calibration(drive: RenderedDrive) -> dict[str, Any]:
    cameras = drive.rig.cameras
    intrinsics = [
        {"fx": c.K[0, 0], "fy": c.K[1, 1], "cx": c.K[0, 2], "cy": c.K[1, 2], "skew": c.K[0, 1]} for c in cameras
    ]
    return {
        "names": [LIDAR_NAME, *drive.rig.names],
        "intrinsics": [_LIDAR_INTRINSICS, *intrinsics],
        # Clouds are stored in the vehicle frame, so the LiDAR's own mounting is the identity.
        "extrinsics": [_pose(np.eye(4)), *(_pose(camera.T_ego_cam) for camera in cameras)],
    }


def _pose(T: Array) -> dict[str, dict[str, float]]:
    (x, y, z), (qw, qx, qy, qz) = pose_numbers(T)
    return {"translation": {"x": x, "y": y, "z": z}, "rotation": {"qw": qw, "qx": qx, "qy": qy, "qz": qz}}


def _image_file(name: str, stamp_ns: int) -> str:
    return f"rgb/{name}/{microseconds(stamp_ns)}.jpg"


def _cloud_file(stamp_ns: int) -> str:
    return f"point_cloud/{LIDAR_NAME}/{microseconds(stamp_ns)}.npz"
