"""Records between the key frames of a written nuScenes tree: cameras at 12 Hz, the LiDAR at 20 Hz."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

PER_KEY_FRAME = {"CAM": 6, "LIDAR": 10}  # of 2 Hz


def add_sweeps(root: Path, version: str = "v1.0-mini") -> None:
    """Add records between each two key frames of a sensor: the vehicle moves evenly, files are copies."""
    folder = root / version
    data = json.loads((folder / "sample_data.json").read_text())
    poses = {row["token"]: row for row in json.loads((folder / "ego_pose.json").read_text())}
    by_token = {row["token"]: row for row in data}
    new_data: list[dict[str, Any]] = []
    new_poses: list[dict[str, Any]] = []
    for row in data:
        later = by_token.get(row["next"])
        if later is None:
            continue
        n = PER_KEY_FRAME[Path(row["filename"]).parent.name.split("_")[0]]
        chain = [row]
        for k in range(1, n):
            record, pose = between(row, later, poses, k / n)
            target = root / record["filename"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / row["filename"], target)
            new_data.append(record)
            new_poses.append(pose)
            chain.append(record)
        for one, other in zip(chain, [*chain[1:], later], strict=True):
            one["next"], other["prev"] = other["token"], one["token"]
    # before the key frames: order in the file must not matter
    (folder / "sample_data.json").write_text(json.dumps(new_data + data))
    (folder / "ego_pose.json").write_text(json.dumps(new_poses + list(poses.values())))


def between(
    row: dict[str, Any], later: dict[str, Any], poses: dict[str, Any], share: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sample_data and ego_pose rows at a share of the way from one key frame to the next."""
    stamp_us = round(row["timestamp"] + share * (later["timestamp"] - row["timestamp"]))
    token = hashlib.md5(f"{row['token']} {share}".encode(), usedforsecurity=False).hexdigest()
    begin, end = poses[row["ego_pose_token"]], poses[later["ego_pose_token"]]
    t_m = (1 - share) * np.array(begin["translation"]) + share * np.array(end["translation"])
    filename = row["filename"].replace("samples/", "sweeps/").replace(str(row["timestamp"]), str(stamp_us))
    nearest = row if share <= 0.5 else later
    record = row | {
        "token": token,
        "sample_token": nearest["sample_token"],
        "ego_pose_token": token,
        "timestamp": stamp_us,
        "is_key_frame": False,
        "filename": filename,
    }
    pose = {"token": token, "timestamp": stamp_us, "rotation": begin["rotation"], "translation": t_m.tolist()}
    return record, pose
