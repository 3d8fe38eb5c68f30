"""The two long tables of nuScenes, `sample_data` and `ego_pose`: 2.6 million rows each, joined without a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.json_rows import JsonRow
from surround_depth.data.nuscenes_index import READING, Channel, FaultScope
from surround_depth.data.nuscenes_tables import TableReader, Target, remember, repeated_message
from surround_depth.data.row_columns import (
    Column,
    flag_field,
    quaternion_field,
    size_field,
    stamp_field,
    text_field,
    token_field,
    vector_field,
)
from surround_depth.data.tokens import KEY, KeyLookup, Keys


def read_readings(
    reader: TableReader,
    channels: Sequence[Channel],
    calibrations: NDArray[Any],
    calibration_target: Target,
    samples: NDArray[Any],
    sample_target: Target,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return the records of cameras and LiDARs with their poses (dtype READING) in order of the table, and their names.

    Rows of other sensors are dropped while the table is parsed, and so are the poses that only they use.
    """
    readings, pose_keys, names = _read_sample_data(reader, calibrations["channel"], calibration_target, sample_target)
    readings = _with_poses(reader, readings, pose_keys)
    return _without_repeated(reader, readings, channels, samples), names


def _read_sample_data(
    reader: TableReader, channel_of: NDArray[np.int32], calibration_target: Target, sample_target: Target
) -> tuple[NDArray[Any], Keys, NDArray[np.uint8]]:
    tokens = ("token", "sample_token", "ego_pose_token", "calibrated_sensor_token")
    fields = (
        *(token_field(name, reader.book) for name in tokens),
        stamp_field("timestamp"),
        flag_field("is_key_frame"),
        size_field("height"),
        size_field("width"),
        text_field("filename"),
    )

    def refuse(values: JsonRow, message: str) -> None:
        # What is not surely a record between key frames may be one of them.
        reader.faults.add("sweeps" if values.get("is_key_frame") is False else "key_frames", message)

    parts, pose_keys, names = [np.empty(0, READING)], [np.empty(0, KEY)], bytearray()
    for columns in reader.batches("sample_data", fields, refuse):
        scope_of = _scope_of(columns["is_key_frame"])
        calibration, _ = reader.follow("sample_data", columns, calibration_target, scope_of)
        ours = np.append(channel_of, -1)[calibration] >= 0
        columns = {name: column[ours] for name, column in columns.items()}
        calibration = calibration[ours]
        sample, _ = reader.follow("sample_data", columns, sample_target, _scope_of(columns["is_key_frame"]))
        kept = sample >= 0
        columns = {name: column[kept] for name, column in columns.items()}
        part = _readings_of(columns, len(names))
        part["sample"], part["calibration"] = sample[kept], calibration[kept]
        part["channel"] = channel_of[calibration[kept]]
        names += "".join(columns["filename"]).encode()
        parts.append(part)
        pose_keys.append(columns["ego_pose_token"])
    return np.concatenate(parts), np.concatenate(pose_keys), np.frombuffer(bytes(names), np.uint8)


def _scope_of(is_key: NDArray[np.bool_]) -> Any:
    def scope(row: int) -> FaultScope:
        return "key_frames" if is_key[row] else "sweeps"

    return scope


def _readings_of(columns: Mapping[str, Column], names_before: int) -> NDArray[Any]:
    filenames = columns["filename"].tolist()
    n_bytes = [len(name) if name.isascii() else len(name.encode()) for name in filenames]
    part = np.zeros(len(filenames), READING)
    part["token"], part["stamp_us"], part["is_key"] = columns["token"], columns["timestamp"], columns["is_key_frame"]
    part["height_px"], part["width_px"] = columns["height"], columns["width"]
    part["name_length"] = n_bytes
    part["name_start"] = names_before + np.cumsum([0, *n_bytes])[:-1]
    return part


@dataclass(frozen=True)
class _Poses:
    """Poses by used token: [U, 3] and [U, 4], and how many rows of the table have that token."""

    translation_m: NDArray[np.float64]
    rotation_wxyz: NDArray[np.float64]
    counts: NDArray[np.int64]
    refused: dict[bytes, str]


def _with_poses(reader: TableReader, readings: NDArray[Any], pose_keys: Keys) -> NDArray[Any]:
    """Fill in the pose of each reading; those whose pose is missing, broken or ambiguous become faults."""
    used, use = np.unique(pose_keys, return_inverse=True)
    poses = _read_poses(reader, used)
    use = use.reshape(-1)
    for row in np.flatnonzero(poses.counts[use] != 1).tolist():
        key = pose_keys[row]
        token = reader.book.text(key)
        if poses.counts[use[row]] > 1:
            reason = repeated_message("ego_pose", token)
        else:
            dangling = f"ego_pose_token {token[:64]!r} is not in ego_pose.json; use tables of one version"
            reason = poses.refused.get(key, dangling)
        label = reader.label("sample_data", readings["token"][row])
        reader.faults.add("key_frames" if readings["is_key"][row] else "sweeps", f"{label}: {reason}")
    readings["translation_m"], readings["rotation_wxyz"] = poses.translation_m[use], poses.rotation_wxyz[use]
    return readings[poses.counts[use] == 1]


def _read_poses(reader: TableReader, used: Keys) -> _Poses:
    """Return the poses of the tokens in `used`, which are sorted and all different."""
    lookup = KeyLookup.of(used)
    poses = _Poses(np.zeros((len(used), 3)), np.zeros((len(used), 4)), np.zeros(len(used), np.int64), {})
    fields = (token_field("token", reader.book), vector_field("translation", 3), quaternion_field("rotation"))

    def refuse(values: JsonRow, message: str) -> None:
        key = reader.token_key(values)
        if key and lookup.find(np.array(key, KEY))[0] >= 0:  # of a pose that nobody uses nothing is kept
            remember(poses.refused, key, message)

    for columns in reader.batches("ego_pose", fields, refuse):
        place = lookup.find(columns["token"])
        mine = place >= 0
        poses.translation_m[place[mine]] = columns["translation"][mine]
        poses.rotation_wxyz[place[mine]] = columns["rotation"][mine]
        np.add.at(poses.counts, place[mine], 1)
    return poses


def _without_repeated(
    reader: TableReader, readings: NDArray[Any], channels: Sequence[Channel], samples: NDArray[Any]
) -> NDArray[Any]:
    """Drop later rows of one token, and later key frames of one camera in one sample."""
    repeated = KeyLookup.of(readings["token"]).repeated_rows()
    for row in repeated.tolist():
        scope: FaultScope = "key_frames" if readings["is_key"][row] else "sweeps"
        reader.faults.add(scope, repeated_message("sample_data", reader.book.text(readings["token"][row])))
    readings = np.delete(readings, repeated)

    key_rows = np.flatnonzero(readings["is_key"])
    order = key_rows[np.lexsort((key_rows, readings["channel"][key_rows], readings["sample"][key_rows]))]
    earlier, later = readings[["sample", "channel"]][order[:-1]], readings[["sample", "channel"]][order[1:]]
    second = order[1:][earlier == later]
    for row in np.sort(second).tolist():
        sample = reader.book.text(samples["token"][readings["sample"][row]])
        name = channels[readings["channel"][row]].name
        label = reader.label("sample_data", readings["token"][row])
        reader.faults.add("key_frames", f"{label}: sample {sample} has two key frames of {name}; remove one")
    return np.delete(readings, second)
