"""The nuScenes JSON tables, joined once: key frames by scene, sensor and time.

Only `scene sample sample_data ego_pose calibrated_sensor sensor` are needed; `prev`/`next` links are not. Rows that no
key frame uses (nuScenes has 2.6 million) are dropped while the file is parsed. Format: schema v1.0 of nuscenes.org.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surround_depth.data.paths import read_json
from surround_depth.data.rows import Row, require_rows, require_stamp, rigid_of
from surround_depth.errors import DataError
from surround_depth.geometry import Array

NS_PER_US = 1000
_NEEDED = ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor")


@dataclass(frozen=True)
class Reading:
    """One sensor's record of a key frame, with the rows it refers to."""

    data: Row  # of sample_data
    pose: Row  # of ego_pose
    calibration: Row  # of calibrated_sensor

    @property
    def stamp_ns(self) -> int:
        """Capture time; the tables hold microseconds."""
        return _stamp_ns_of(self.data)

    @property
    def T_world_ego(self) -> Array:
        """Ego pose [4, 4] at this sensor's own time."""
        return _pose_of(self.pose)

    @property
    def T_ego_sensor(self) -> Array:
        """Mounting [4, 4] of the sensor."""
        return _pose_of(self.calibration)

    @property
    def K(self) -> Array:
        """Intrinsics [3, 3] of a camera."""
        return np.array(self.calibration.matrix("camera_intrinsic", 3, 3))


@dataclass(frozen=True)
class KeyFrame:
    """One sample: its token and one reading per channel that recorded it."""

    token: str
    stamp_ns: int
    readings: dict[str, Reading]


@dataclass(frozen=True)
class NuScenesTables:
    """The joined tables of one version folder."""

    scenes: dict[str, tuple[KeyFrame, ...]]  # by scene name, in order of time
    channels: dict[str, tuple[str, ...]]  # by modality: "camera", "lidar", "radar"


def find_version(root: Path, version: str | None) -> str:
    """Return the version folder to read: the one asked for, else the only one there is."""
    folders = {path.parent.name for path in root.glob("*/sample_data.json")}
    found = sorted(name for name in folders if not name.startswith("."))  # a writer's half-made folder is hidden
    if version is None and len(found) == 1:
        return found[0]
    listing = ", ".join(found) or "none"
    if version is None:
        raise DataError(f"{root} has these version folders: {listing}; it needs exactly one, or version= to choose")
    if version not in found:
        raise DataError(f"{root} has no version {version!r} with a sample_data.json; it has: {listing}")
    return version


def read_tables(folder: Path) -> NuScenesTables:
    """Return the joined tables of `root/version`.

    Raises:
        DataError: a needed table is missing or damaged, or a row refers to one that is not there.
    """
    missing = [f"{name}.json" for name in _NEEDED if not (folder / f"{name}.json").is_file()]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)}; extract the metadata archive of this version again")
    scenes, samples = _by_token(folder, "scene"), _by_token(folder, "sample")
    sensors, calibrations = _by_token(folder, "sensor"), _by_token(folder, "calibrated_sensor")
    data = [_row("sample_data", values) for values in _read_rows(folder, "sample_data", _is_key_frame)]
    used = {row.text("ego_pose_token") for row in data}
    poses = _by_token(folder, "ego_pose", lambda values: values.get("token") in used)

    readings: dict[str, dict[str, Reading]] = {token: {} for token in samples}
    for row in data:
        calibration = _follow(row, "calibrated_sensor", calibrations)
        sample_token = _follow(row, "sample", samples).text("token")
        channel = _follow(calibration, "sensor", sensors).text("channel")
        if channel in readings[sample_token]:
            raise DataError(f"{row.label}: sample {sample_token} has two key frames of {channel}; remove one")
        readings[sample_token][channel] = Reading(row, _follow(row, "ego_pose", poses), calibration)
    return NuScenesTables(_by_scene(scenes, samples, readings), _channels(sensors))


def _by_scene(
    scenes: dict[str, Row], samples: dict[str, Row], readings: dict[str, dict[str, Reading]]
) -> dict[str, tuple[KeyFrame, ...]]:
    frames: dict[str, list[KeyFrame]] = {}
    for token, row in samples.items():
        name = _follow(row, "scene", scenes).text("name")
        frames.setdefault(name, []).append(KeyFrame(token, _stamp_ns_of(row), readings[token]))
    names = [row.text("name") for row in scenes.values()]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"scene.json: {names.count(name)} scenes are named {name!r}; names must differ")
    return {name: tuple(sorted(frames[name], key=lambda f: f.stamp_ns)) for name in sorted(names) if name in frames}


def _channels(sensors: dict[str, Row]) -> dict[str, tuple[str, ...]]:
    channels: dict[str, tuple[str, ...]] = {}
    for row in sensors.values():
        modality = row.text("modality")
        channel = row.text("channel")
        # Channels become file names of masks and keys of rigs.
        if "/" in channel or ".." in channel:
            raise DataError(f"{row.label}: channel {channel!r} is not a plain name; mend the table")
        channels[modality] = (*channels.get(modality, ()), channel)
    return channels


def _read_rows(folder: Path, table: str, keep: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    path = folder / f"{table}.json"
    content = read_json(path, lambda values: values if keep(values) else None)
    if not isinstance(content, list):
        raise DataError(f"{path}: expected a list of rows; the file is damaged or of another format")
    return require_rows([values for values in content if values is not None], str(path))


def _by_token(folder: Path, table: str, keep: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Row]:
    rows = (_row(table, values) for values in _read_rows(folder, table, keep))
    return {row.text("token"): row for row in rows}


def _row(table: str, values: dict[str, Any]) -> Row:
    return Row(f"{table}.json row {str(values.get('token', '(no token)'))[:64]}", values)


def _is_key_frame(values: dict[str, Any]) -> bool:
    if "is_key_frame" not in values:
        raise DataError(f"{_row('sample_data', values).label} has no field 'is_key_frame'; the file is damaged")
    is_key_frame = values["is_key_frame"]
    if not isinstance(is_key_frame, bool):  # bool("false") is True
        label = _row("sample_data", values).label
        raise DataError(f"{label}: is_key_frame must be true or false, got {str(is_key_frame)[:60]!r}; mend the row")
    return is_key_frame


def _follow(row: Row, table: str, target: dict[str, Row]) -> Row:
    token = row.text(f"{table}_token")
    if token not in target:
        raise DataError(f"{row.label}: {table}_token {token!r} is not in {table}.json; use tables of one version")
    return target[token]


def _stamp_ns_of(row: Row) -> int:
    return require_stamp(row.label, row.integer("timestamp") * NS_PER_US)


def _pose_of(row: Row) -> Array:
    return rigid_of(row.label, row.numbers("rotation", 4), row.numbers("translation", 3))
