"""Build the index of a nuScenes version from its tables, in one pass over each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.nuscenes_index import BOX, CALIBRATION, SAMPLE, Channel, FaultScope, NuScenesIndex, Scene
from surround_depth.data.nuscenes_readings import read_readings
from surround_depth.data.nuscenes_tables import BOX_TABLES, TableReader, Target, starts_of
from surround_depth.data.row_columns import (
    Column,
    note_field,
    quaternion_field,
    raw_field,
    stamp_field,
    text_field,
    token_field,
    vector_field,
)
from surround_depth.data.rows import Row
from surround_depth.data.tokens import KeyLookup
from surround_depth.errors import DataError

MODALITIES = ("camera", "lidar")


def build_index(files: Mapping[str, Path]) -> NuScenesIndex:
    """Return the index of the tables in `files` (see `nuscenes_tables.table_files`). Broken rows become its faults.

    Raises:
        DataError: a table is not a JSON list of objects.
    """
    reader = TableReader(files)
    scenes, scene_target = _read_scenes(reader)
    samples, sample_target = _read_samples(reader, scene_target)
    channels, calibrations, calibration_target = _read_calibrations(reader)
    readings, names = read_readings(reader, channels, calibrations, calibration_target, samples, sample_target)
    scene_of_reading = samples["scene"][readings["sample"]]
    order = np.lexsort((readings["stamp_us"], readings["channel"], scene_of_reading))
    categories, boxes = _read_boxes(reader, sample_target)
    return NuScenesIndex(
        scenes=scenes,
        channels=channels,
        categories=categories,
        book=reader.book,
        faults=reader.faults,
        samples=samples,
        calibrations=calibrations,
        readings=readings[order],
        boxes=boxes,
        names=names,
        sample_starts=starts_of(samples["scene"], len(scenes)),
        reading_starts=starts_of(scene_of_reading[order], len(scenes)),
        box_starts=starts_of(boxes["sample"], len(samples)),
    )


def _always_key_frames(row: int) -> FaultScope:
    return "key_frames"


def _always_boxes(row: int) -> FaultScope:
    return "boxes"


def _read_scenes(reader: TableReader) -> tuple[tuple[Scene, ...], Target]:
    fields = (token_field("token", reader.book), text_field("name"), note_field("description"))
    columns, refused = reader.read("scene", fields, "key_frames")
    row_of_name: dict[str, int] = {}
    for row, name in enumerate(columns["name"]):
        if row_of_name.setdefault(name, row) != row:
            key = columns["token"][row]
            refused[key] = f"{reader.label('scene', key)}: an earlier scene is named {name!r} too; names must differ"
            reader.faults.add("key_frames", refused[key])
    rows = [row_of_name[name] for name in sorted(row_of_name)]
    scenes = tuple(Scene(columns["name"][row], columns["description"][row]) for row in rows)
    return scenes, Target("scene", KeyLookup.of(columns["token"][rows]), refused)


def _read_samples(reader: TableReader, scenes: Target) -> tuple[NDArray[Any], Target]:
    fields = (token_field("token", reader.book), stamp_field("timestamp"), token_field("scene_token", reader.book))
    columns, refused = reader.read("sample", fields, "key_frames")
    scene, dangling = reader.follow("sample", columns, scenes, _always_key_frames)
    order = np.lexsort((columns["timestamp"], scene))
    order = order[scene[order] >= 0]
    samples = np.empty(len(order), SAMPLE)
    samples["token"], samples["stamp_us"] = columns["token"][order], columns["timestamp"][order]
    samples["scene"] = scene[order]
    return samples, Target("sample", KeyLookup.of(samples["token"]), refused | dangling)


def _read_calibrations(reader: TableReader) -> tuple[tuple[Channel, ...], NDArray[Any], Target]:
    """Return the channels that are kept, the calibrations (channel -1: of another sensor), and how to find them."""
    channels, channel_of_sensor, sensors = _read_sensors(reader)
    fields = (
        token_field("token", reader.book),
        token_field("sensor_token", reader.book),
        vector_field("translation", 3),
        quaternion_field("rotation"),
        raw_field("camera_intrinsic"),
    )
    columns, refused = reader.read("calibrated_sensor", fields, "key_frames")
    sensor, dangling = reader.follow("calibrated_sensor", columns, sensors, _always_key_frames)
    refused |= dangling
    calibrations = np.empty(len(sensor), CALIBRATION)
    calibrations["token"] = columns["token"]
    calibrations["translation_m"], calibrations["rotation_wxyz"] = columns["translation"], columns["rotation"]
    calibrations["channel"] = np.append(channel_of_sensor, -1)[sensor]
    calibrations["K"] = np.nan
    for row, channel in enumerate(calibrations["channel"]):
        if sensor[row] < 0 or channel < 0 or channels[channel].modality != "camera":
            continue
        label = reader.label("calibrated_sensor", columns["token"][row])
        try:
            K = Row(label, {"camera_intrinsic": columns["camera_intrinsic"][row]}).matrix("camera_intrinsic", 3, 3)
            calibrations["K"][row] = K
        except DataError as error:
            refused[columns["token"][row]] = str(error)
            reader.faults.add("key_frames", str(error))
    kept = np.array([key not in refused for key in calibrations["token"]], np.bool_)
    return channels, calibrations[kept], Target("calibrated_sensor", KeyLookup.of(calibrations["token"][kept]), refused)


def _read_sensors(reader: TableReader) -> tuple[tuple[Channel, ...], NDArray[np.int64], Target]:
    fields = (token_field("token", reader.book), text_field("channel"), text_field("modality"))
    columns, refused = reader.read("sensor", fields, "key_frames")
    channels: dict[str, Channel] = {}
    numbers = np.full(len(columns["token"]), -1, np.int64)
    for row, (name, modality) in enumerate(zip(columns["channel"], columns["modality"], strict=True)):
        # Channels become file names of masks and keys of rigs.
        if "/" in name or ".." in name or "\0" in name:
            key = columns["token"][row]
            refused[key] = f"{reader.label('sensor', key)}: channel {name[:60]!r} is not a plain name; mend the table"
            reader.faults.add("key_frames", refused[key])
        elif modality in MODALITIES:
            channels.setdefault(name, Channel(name, modality))
            numbers[row] = list(channels).index(name)
    plain = np.array([key not in refused for key in columns["token"]], np.bool_)
    return tuple(channels.values()), numbers[plain], Target("sensor", KeyLookup.of(columns["token"][plain]), refused)


def _read_boxes(reader: TableReader, samples: Target) -> tuple[tuple[str, ...], NDArray[Any]]:
    if BOX_TABLES[0] not in reader.files:
        return (), np.empty(0, BOX)
    token = token_field("token", reader.book)
    categories, refused = reader.read("category", (token, text_field("name")), "boxes")
    category_target = Target("category", KeyLookup.of(categories["token"]), refused)
    instances, refused = reader.read("instance", (token, token_field("category_token", reader.book)), "boxes")
    category, dangling = reader.follow("instance", instances, category_target, _always_boxes)
    known = {name: column[category >= 0] for name, column in instances.items()}
    category = category[category >= 0]
    instance_target = Target("instance", KeyLookup.of(known["token"]), refused | dangling)

    fields = (
        token,
        token_field("sample_token", reader.book),
        token_field("instance_token", reader.book),
        vector_field("translation", 3),
        quaternion_field("rotation"),
        vector_field("size", 3, positive=True),
    )
    parts = [np.empty(0, BOX)]
    for columns in reader.batches("sample_annotation", fields, lambda _, text: reader.faults.add("boxes", text)):
        sample, _ = reader.follow("sample_annotation", columns, samples, _always_boxes)
        instance, _ = reader.follow("sample_annotation", columns, instance_target, _always_boxes)
        parts.append(_boxes_of(columns, sample, instance, category))
    boxes = np.concatenate(parts)
    return tuple(categories["name"].tolist()), boxes[np.argsort(boxes["sample"], kind="stable")]


def _boxes_of(
    columns: Mapping[str, Column], sample: NDArray[np.int64], instance: NDArray[np.int64], category: NDArray[np.int64]
) -> NDArray[Any]:
    kept = (sample >= 0) & (instance >= 0)
    boxes = np.empty(int(kept.sum()), BOX)
    boxes["token"], boxes["instance"] = columns["token"][kept], columns["instance_token"][kept]
    boxes["sample"], boxes["category"] = sample[kept], category[instance[kept]]
    boxes["translation_m"], boxes["rotation_wxyz"] = columns["translation"][kept], columns["rotation"][kept]
    boxes["size_wlh_m"] = columns["size"][kept]
    return boxes
