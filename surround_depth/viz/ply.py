"""Write clouds as binary PLY, which every viewer opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from surround_depth.errors import DataError
from surround_depth.frame import PointCloud

_PLY_TYPES = {"<f4": "float", "|u1": "uchar", "<i4": "int"}


def write_ply(path: Path, cloud: PointCloud) -> None:
    """Write points (float, metres) with the colour, confidence, camera index and intensity that the cloud has.

    Frame, stamp and length unit stand in the comments of the header.

    Raises:
        DataError: the file cannot be written.
    """
    vertices = _vertices(cloud)
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment frame {cloud.coordinate_frame}, x forward, y left, z up, metres"
        if cloud.coordinate_frame == "ego"
        else f"comment frame {cloud.coordinate_frame}, metres",
        f"comment stamp_ns {cloud.stamp_ns}",
        f"element vertex {len(cloud)}",
        *(f"property {_PLY_TYPES[vertices.dtype[name].str]} {name}" for name in vertices.dtype.names or ()),
        "end_header\n",
    ]
    try:
        with path.open("wb") as file:
            file.write("\n".join(header).encode("ascii"))
            file.write(vertices.tobytes())
    except OSError as error:
        raise DataError(f"{path}: the cloud cannot be written: {error.strerror}") from error


def _vertices(cloud: PointCloud) -> np.ndarray:
    """Return one record per point, packed as the file holds them."""
    columns: list[tuple[str, str, np.ndarray]] = [(axis, "<f4", cloud.points_m[:, i]) for i, axis in enumerate("xyz")]
    if cloud.rgb is not None:
        columns += [(name, "|u1", cloud.rgb[:, i]) for i, name in enumerate(("red", "green", "blue"))]
    for name, kind in (("confidence", "<f4"), ("camera_index", "<i4"), ("intensity", "<f4")):
        if getattr(cloud, name) is not None:
            columns.append((name, kind, getattr(cloud, name)))
    records = np.empty(len(cloud), dtype=[(name, kind) for name, kind, _ in columns])
    for name, _, values in columns:
        records[name] = values
    return records
