"""Point clouds of a DGP scene: `.npz` files in the LiDAR's frame, which on DDAD is the vehicle's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from surround_depth.data.dgp_scene import DgpSample
from surround_depth.data.paths import path_inside, read_npz
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import invert_rigid, transform

# Metres or intensity: what is larger is damage, and would overflow float32.
_MAX_VALUE = 1e6


def read_cloud(scene_dir: Path, sample: DgpSample, name: str) -> PointCloud:
    """Return a sample's point cloud in the ego frame at its own stamp.

    The files hold float64 and `PointCloud` float32: at 200 m the rounding is 8 micrometres. Published truth was made
    from float64; on the real frame one of 58610 points falls into another pixel
    (tests/data/test_fixture_numbers.py counts them).

    Raises:
        DataError: the file is missing, no array [P, 4], or holds values that are not finite.
    """
    datum = sample.data[name]
    path = path_inside(scene_dir, datum.filename, datum.label)
    records = read_npz(path, "data", datum.label)
    if records.ndim != 2 or records.shape[1] < 4 or records.dtype.kind != "f":
        raise DataError(
            f"{datum.label}: cloud {path} holds {records.dtype} {records.shape}, "
            "expected floats [P, 4] (x, y, z, intensity); is it a file of another kind?"
        )
    if not (np.abs(records[:, :4]) < _MAX_VALUE).all():  # NaN fails too
        raise DataError(
            f"{datum.label}: cloud {path} holds values that are not finite or beyond {_MAX_VALUE:.0e}; "
            "download or copy it again"
        )
    T_ego_sensor = sample.sensor(name).T_ego_sensor
    return PointCloud(
        transform(T_ego_sensor, records[:, :3].astype(np.float64)).astype(np.float32),
        "ego",
        datum.stamp_ns,
        frame_id=sample.token,
        T_world_ego=datum.T_world_sensor @ invert_rigid(T_ego_sensor),
        intensity=records[:, 3].astype(np.float32),
    )
