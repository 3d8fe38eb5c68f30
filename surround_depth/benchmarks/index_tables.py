"""nuScenes tables of the size of trainval, made of random numbers: what an index is measured on.

Counts, rates, fields and the layout of the rows are those of v1.0-trainval: 850 scenes, 34,149 samples, 12 sensors,
2.6 million rows of sample_data and of ego_pose, 1.2 million annotations. Only the first sample has files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from surround_depth.data.stable_bytes import json_rows_bytes
from surround_depth.files import atomic_directory, write_atomic
from surround_depth.imaging import encode_jpeg

VERSION = "v1.0-trainval"
N_SCENES, N_SAMPLES = 850, 34_149
N_LOGS = 68
BOXES_PER_SAMPLE = 34
N_CATEGORIES = 23
SCENE_S = 20
RATE_HZ = {"camera": 12, "lidar": 20, "radar": 13}
_CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
_RADARS = ("RADAR_FRONT", "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT", "RADAR_BACK_LEFT", "RADAR_BACK_RIGHT")
SENSORS = {**dict.fromkeys(_CAMERAS, "camera"), "LIDAR_TOP": "lidar", **dict.fromkeys(_RADARS, "radar")}
_FORMAT = {"camera": ("jpg", "jpg", 900, 1600), "lidar": ("pcd", "pcd.bin", 0, 0), "radar": ("pcd", "pcd", 0, 0)}
_FIRST_STAMP_US = 1_532_402_927_612_460
_SCENE_GAP_US = 60_000_000
_K = [[1266.417203046554, 0.0, 816.2670197447984], [0.0, 1266.417203046554, 491.50706579294757], [0.0, 0.0, 1.0]]
_MAP_FILE = "maps/blank.png"
_LONG_TABLES = ("sample_data", "ego_pose", "sample_annotation", "sample", "instance")


def write_large_tables(root: Path, scale: float = 1.0, seed: int = 0) -> dict[str, int]:
    """Write the 13 tables of `scale` times trainval, the same for the same seed, and the first sample's files.

    Returns:
        Number of rows of each table.
    """
    n_scenes = max(1, round(N_SCENES * scale))
    tables = _short_tables(n_scenes, np.random.default_rng([seed, 0]))
    counts = {name: len(rows) for name, rows in tables.items()}
    with atomic_directory(root / VERSION) as folder:
        for name, rows in tables.items():
            (folder / f"{name}.json").write_bytes(json_rows_bytes(rows))
        with ExitStack() as stack:
            files = {name: stack.enter_context((folder / f"{name}.json").open("w")) for name in _LONG_TABLES}
            writers = {name: _ListWriter(file) for name, file in files.items()}
            for number in range(n_scenes):
                _SceneRows(number, tables, np.random.default_rng([seed, 1, number])).write(writers, root)
            for writer in writers.values():
                writer.close()
    counts |= {name: writer.count for name, writer in writers.items()}
    blank = np.zeros((8, 8, 3), np.uint8)
    write_atomic(root / _MAP_FILE, encode_jpeg(blank))
    return counts


class _ListWriter:
    """A JSON list, row by row."""

    def __init__(self, file: TextIO) -> None:
        self._file, self.count = file, 0
        file.write("[\n")

    def add(self, row: str) -> None:
        self._file.write((",\n" if self.count else "") + row)
        self.count += 1

    def close(self) -> None:
        self._file.write("\n]")


def _tokens(generator: np.random.Generator, count: int) -> list[str]:
    digits = generator.bytes(16 * count).hex()
    return [digits[i : i + 32] for i in range(0, len(digits), 32)]


def _short_tables(n_scenes: int, generator: np.random.Generator) -> dict[str, list[dict[str, Any]]]:
    sensor_tokens = _tokens(generator, len(SENSORS))
    log_tokens = _tokens(generator, min(N_LOGS, n_scenes))
    scene_tokens = _tokens(generator, n_scenes)
    calibrations = [
        {
            "token": token,
            "sensor_token": sensor_tokens[i % len(SENSORS)],
            "translation": generator.normal(size=3).round(6).tolist(),
            "rotation": _rotation(generator),
            "camera_intrinsic": _K if list(SENSORS.values())[i % len(SENSORS)] == "camera" else [],
        }
        for i, token in enumerate(_tokens(generator, n_scenes * len(SENSORS)))
    ]
    return {
        "category": [
            {"token": t, "name": f"vehicle.kind{i}", "description": ""}
            for i, t in enumerate(_tokens(generator, N_CATEGORIES))
        ],
        "attribute": [{"token": _tokens(generator, 1)[0], "name": "vehicle.moving", "description": ""}],
        "visibility": [{"token": str(i + 1), "level": f"v{i}", "description": ""} for i in range(4)],
        "sensor": [
            {"token": token, "channel": channel, "modality": modality}
            for token, (channel, modality) in zip(sensor_tokens, SENSORS.items(), strict=True)
        ],
        "calibrated_sensor": calibrations,
        "log": [
            {
                "token": t,
                "logfile": f"n015-{i:04d}",
                "vehicle": "n015",
                "date_captured": "2018-07-24",
                "location": "none",
            }
            for i, t in enumerate(log_tokens)
        ],
        "map": [{"category": "semantic_prior", "token": "0" * 32, "filename": _MAP_FILE, "log_tokens": log_tokens}],
        "scene": [
            {
                "token": token,
                "log_token": log_tokens[i % len(log_tokens)],
                "nbr_samples": _samples_of(i),
                "first_sample_token": "",
                "last_sample_token": "",
                "name": f"scene-{i + 1:04d}",
                "description": "Parked truck, construction, intersection, turn left, following a van",
            }
            for i, token in enumerate(scene_tokens)
        ],
    }


def _samples_of(scene: int) -> int:
    """Samples of a scene: 40 or 41, so that 850 scenes have 34,149."""
    return (scene + 1) * N_SAMPLES // N_SCENES - scene * N_SAMPLES // N_SCENES


def _rotation(generator: np.random.Generator) -> list[float]:
    q = generator.normal(size=4)
    rotation: list[float] = (q / np.linalg.norm(q)).tolist()
    return rotation


@dataclass(frozen=True)
class _SceneRows:
    """The rows of one scene in the long tables."""

    number: int
    short: dict[str, list[dict[str, Any]]]
    generator: np.random.Generator

    def write(self, writers: dict[str, _ListWriter], root: Path) -> None:
        """Add the scene's rows; of the first scene also the first sample's files."""
        n = _samples_of(self.number)
        start_us = _FIRST_STAMP_US + self.number * _SCENE_GAP_US
        tokens = _tokens(self.generator, n)
        links = ["", *tokens, ""]
        for i, token in enumerate(tokens):
            sample = {
                "token": token,
                "timestamp": start_us + i * 500_000,
                "prev": links[i],
                "next": links[i + 2],
                "scene_token": self.short["scene"][self.number]["token"],
            }
            writers["sample"].add(json.dumps(sample, indent=0))
        for sensor, channel in enumerate(SENSORS):
            calibration = self.short["calibrated_sensor"][self.number * len(SENSORS) + sensor]["token"]
            for row, pose, filename in self._records(channel, calibration, tokens, start_us):
                writers["sample_data"].add(row)
                writers["ego_pose"].add(pose)
                if filename is not None:
                    write_atomic(root / filename, _content(channel))
        self._annotate(writers, tokens)

    def _records(
        self, channel: str, calibration: str, samples: list[str], start_us: int
    ) -> Iterator[tuple[str, str, str | None]]:
        """Yield sample_data row, ego_pose row, and for the first key frame of all its file name."""
        modality = SENSORS[channel]
        form, suffix, height_px, width_px = _FORMAT[modality]
        n = SCENE_S * RATE_HZ[modality]
        stamps_us = start_us + np.arange(n) * 1_000_000 // RATE_HZ[modality] + self.generator.integers(0, 3000, n)
        sample_of = np.minimum((np.arange(n) * 2 + RATE_HZ[modality] // 2) // RATE_HZ[modality], len(samples) - 1)
        is_key = np.diff(sample_of, prepend=-1) > 0
        links = ["", *_tokens(self.generator, n), ""]
        q = self.generator.normal(size=(n, 4))
        q /= np.linalg.norm(q, axis=1, keepdims=True)
        t_m = self.generator.uniform(300.0, 2500.0, (n, 2))
        log = f"n015-2018-07-24-11-{self.number // 60:02d}-{self.number % 60:02d}+0800"
        for i in range(n):
            token, folder = links[i + 1], "samples" if is_key[i] else "sweeps"
            filename = f"{folder}/{channel}/{log}__{channel}__{stamps_us[i]}.{suffix}"
            row = (
                f'{{\n"token": "{token}",\n"sample_token": "{samples[sample_of[i]]}",\n"ego_pose_token": "{token}",\n'
                f'"calibrated_sensor_token": "{calibration}",\n"timestamp": {stamps_us[i]},\n"fileformat": "{form}",\n'
                f'"is_key_frame": {"true" if is_key[i] else "false"},\n"height": {height_px},\n"width": {width_px},\n'
                f'"filename": "{filename}",\n"prev": "{links[i]}",\n"next": "{links[i + 2]}"\n}}'
            )
            w, x, y, z = q[i].tolist()
            east_m, north_m = t_m[i].tolist()
            pose = (
                f'{{\n"token": "{token}",\n"timestamp": {stamps_us[i]},\n"rotation": [\n{w},\n{x},\n{y},\n{z}\n],\n'
                f'"translation": [\n{east_m},\n{north_m},\n0.0\n]\n}}'
            )
            yield row, pose, filename if self.number == 0 and i == 0 and modality != "radar" else None

    def _annotate(self, writers: dict[str, _ListWriter], samples: list[str]) -> None:
        """Add instances that stay for about half a scene, as in trainval."""
        for _ in range(2 * BOXES_PER_SAMPLE):
            instance, *chain = _tokens(self.generator, 1 + len(samples) // 2)
            first = int(self.generator.integers(0, len(samples) - len(chain) + 1))
            category = self.short["category"][int(self.generator.integers(N_CATEGORIES))]["token"]
            head = {"token": instance, "category_token": category, "nbr_annotations": len(chain)}
            ends = {"first_annotation_token": chain[0], "last_annotation_token": chain[-1]}
            writers["instance"].add(json.dumps(head | ends, indent=0))
            links = ["", *chain, ""]
            size = self.generator.uniform(0.5, 5.0, 3).round(3).tolist()
            for i, token in enumerate(chain):
                annotation = {
                    "token": token,
                    "sample_token": samples[first + i],
                    "instance_token": instance,
                    "visibility_token": "4",
                    "attribute_tokens": [self.short["attribute"][0]["token"]],
                    "translation": self.generator.uniform(300.0, 2500.0, 3).round(3).tolist(),
                    "size": size,
                    "rotation": _rotation(self.generator),
                    "prev": links[i],
                    "next": links[i + 2],
                    "num_lidar_pts": 5,
                    "num_radar_pts": 0,
                }
                writers["sample_annotation"].add(json.dumps(annotation))


def _content(channel: str) -> bytes:
    if SENSORS[channel] == "camera":
        return encode_jpeg(np.zeros((900, 1600, 3), np.uint8))
    return np.ones((1000, 5), "<f4").tobytes()
