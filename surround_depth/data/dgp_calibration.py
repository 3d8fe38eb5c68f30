"""DGP calibration files: where each sensor sits on the vehicle and, of a camera, its intrinsics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surround_depth.data.paths import path_inside, read_json
from surround_depth.data.rows import Row, require_rows, rigid_of
from surround_depth.errors import DataError
from surround_depth.geometry import Array

_FARTHEST_M = 1e8


@dataclass(frozen=True)
class Calibration:
    """One sensor of a calibration file."""

    T_ego_sensor: Array  # [4, 4]
    K: tuple[tuple[float, ...], ...]  # [3, 3]; zeros for the LiDAR


def read_calibration(scene_dir: Path, key: str, referrer: str) -> dict[str, Calibration]:
    """Return the sensors of a calibration file by name (upper case).

    Raises:
        DataError: the file is missing or damaged, its lists are not parallel, or name one sensor twice.
    """
    path = path_inside(scene_dir, f"calibration/{key}.json", referrer)
    row = Row(f"{scene_dir.name}/calibration/{path.name}", require_object(read_json(path), path))
    names, intrinsics, extrinsics = row.items("names"), row.items("intrinsics"), row.items("extrinsics")
    if not len(names) == len(intrinsics) == len(extrinsics):
        counts = f"{len(names)} names, {len(intrinsics)} intrinsics, {len(extrinsics)} extrinsics"
        raise DataError(f"{row.label}: {counts}; the lists must be parallel")
    sensors = {}
    for name, lens, pose in zip(
        names, require_rows(intrinsics, row.label), require_rows(extrinsics, row.label), strict=True
    ):
        label = f"{row.label}, {str(name)[:60]!r}"
        if str(name).upper() in sensors:
            raise DataError(f"{label}: an earlier sensor has the same name; remove one")
        sensors[str(name).upper()] = Calibration(pose_of(Row(label, pose)), _K_of(Row(label, lens)))
    return sensors


def _K_of(row: Row) -> tuple[tuple[float, ...], ...]:
    fx, fy, cx, cy = (row.number(key) for key in ("fx", "fy", "cx", "cy"))
    skew = row.number("skew") if "skew" in row.values else 0.0
    return (fx, skew, cx), (0.0, fy, cy), (0.0, 0.0, 1.0)


def pose_of(row: Row) -> Array:
    """Return the transform [4, 4] of a DGP pose."""
    q, t = row.child("rotation"), row.child("translation")
    q_wxyz, t_m = (
        tuple(q.number(key) for key in ("qw", "qx", "qy", "qz")),
        tuple(t.number(key) for key in ("x", "y", "z")),
    )
    if max(map(abs, t_m)) > _FARTHEST_M:
        raise DataError(f"{t.label}: {t_m} is not on this planet in metres; mend the row")
    return rigid_of(row.label, q_wxyz, t_m)


def require_object(content: object, path: Path) -> dict[str, object]:
    """Return `content` as the JSON object it has to be."""
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object; the file is damaged or of another format")
    return content
