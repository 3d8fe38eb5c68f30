"""Write rendered drives as a genuine nuScenes tree: all 13 tables, images, sweeps, and our dense-truth sidecar.

Files are written as samples come; tables at the end. A worker process may write one drive's files and hand back its
`DriveRecord`; `write_tables` merges the records of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from surround_depth.data.paths import OWN_BODY_FOLDER
from surround_depth.data.stable_bytes import json_rows_bytes
from surround_depth.data.synthetic.drive_types import RenderedDrive
from surround_depth.data.truth_sidecar import write_dense_truth
from surround_depth.data.writers.annotations import ATTRIBUTES, VISIBILITY_LEVELS
from surround_depth.data.writers.files import check_drive, check_sample, token_of, write_own_body
from surround_depth.data.writers.nuscenes_rows import TABLES, DriveRecord, DriveRows, Table, camera_file, sweep_file
from surround_depth.errors import DataError
from surround_depth.files import atomic_directory, write_atomic
from surround_depth.imaging import encode_jpeg

_MAP_FILE = "maps/synthetic.png"


def write_drive_files(root: Path, drive: RenderedDrive) -> DriveRecord:
    """Write a drive's images, sweeps, dense depth and masks; return what `write_tables` needs of it."""
    check_drive(drive)
    for camera in drive.rig.cameras:
        write_own_body(root / OWN_BODY_FOLDER / f"{camera.name}.png", camera)
    rows = DriveRows(drive)
    for sample in drive.samples:
        check_sample(drive, sample)
        rows.add_sample(sample)
        for i, camera in enumerate(drive.rig.cameras):
            relpath = camera_file(drive, camera.name, int(sample.stamps_ns[i]))
            write_atomic(root / relpath, encode_jpeg(sample.images[i]))
            write_dense_truth(root, relpath, sample.depth_m[i])
        write_atomic(root / sweep_file(drive, sample), np.ascontiguousarray(sample.lidar_points, "<f4").tobytes())
    return rows.record()


def write_tables(root: Path, records: Iterable[DriveRecord], version: str = "v1.0-mini") -> None:
    """Write the 13 tables of all drives at once, in place of what was in `root/version` (see `atomic_directory`)."""
    ordered = sorted(records, key=lambda record: record.name)
    names = [record.name for record in ordered]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or not names:
        raise DataError(f"{root}: a tree needs drives of different names; got {', '.join(repeated) or 'no drive'}")
    tables = {name: _merged([record.tables[name] for record in ordered]) for name in TABLES}
    tables["visibility"] = [
        {
            "description": f"visibility of whole object is between {low} and {high}%",
            "token": token,
            "level": f"v{low}-{high}",
        }
        for token, (low, high) in VISIBILITY_LEVELS.items()
    ]
    tables["attribute"] = [
        {"token": token_of("attribute", name), "name": name, "description": text} for name, text in ATTRIBUTES.items()
    ]
    log_tokens = [row["token"] for row in tables["log"]]
    tables["map"] = [
        {"category": "semantic_prior", "token": token_of("map"), "filename": _MAP_FILE, "log_tokens": log_tokens}
    ]
    # The devkit wants a map file; a synthetic street has no semantic prior, so it is blank.
    write_atomic(root / _MAP_FILE, cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes())
    with atomic_directory(root / version) as folder:
        for name, rows in tables.items():
            (folder / f"{name}.json").write_bytes(json_rows_bytes(rows))


def _merged(parts: list[Table]) -> Table:
    """Join tables; rows that drives share (sensors, categories) appear once."""
    return list({row["token"]: row for part in parts for row in part}.values())
