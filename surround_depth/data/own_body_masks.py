"""Own-body masks as files: one PNG per camera, 255 = keep, 0 = own vehicle, and the ones that ship with the project."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surround_depth.data.own_body import OwnBodyEstimate
from surround_depth.errors import DataError
from surround_depth.files import atomic_directory, write_atomic

FACTS_NAME = "masks.json"


def write_own_body_masks(
    folder: Path, estimates: Mapping[str, OwnBodyEstimate], source: Mapping[str, Any], *, suffix: str = ""
) -> None:
    """Write `CHANNEL.png` per camera, as `data.paths.read_own_body` reads it, and masks.json.

    Args:
        folder: replaced as a whole.
        source: what the masks come from (data set, scenes, command), written into masks.json beside each camera's
            size, figures and SHA-256.
        suffix: between the camera's name and ".png".

    Raises:
        DataError: the folder cannot be written, or holds something else.
    """
    require_replaceable(folder)
    cameras = {}
    with atomic_directory(folder) as fresh:
        for name, estimate in estimates.items():
            png = bytes(cv2.imencode(".png", np.where(estimate.own_body, 0, 255).astype(np.uint8))[1])
            write_atomic(fresh / f"{name}{suffix}.png", png)
            height_px, width_px = estimate.own_body.shape
            cameras[name] = {
                "height_px": height_px,
                "width_px": width_px,
                "hidden_share": round(estimate.hidden_share, 4),
                "support": None if estimate.support is None else round(estimate.support, 3),
                "runner_up": round(estimate.runner_up, 3),
                "n_frames": estimate.n_frames,
                "sha256": hashlib.sha256(png).hexdigest(),
            }
        tree = json.dumps({**source, "cameras": cameras}, indent=2)
        write_atomic(fresh / FACTS_NAME, f"{tree}\n".encode())


def require_replaceable(folder: Path) -> None:
    """Raise `DataError` where a folder holds anything and no masks.json: masks replace a folder as a whole."""
    try:
        is_foreign = folder.is_dir() and any(folder.iterdir()) and not (folder / FACTS_NAME).is_file()
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror}); give another folder") from error
    if is_foreign:
        raise DataError(f"{folder} is not empty and has no {FACTS_NAME}, so it is no folder of masks; give another one")


def shipped_masks(name: str) -> Path:
    """Return the folder of `CHANNEL.png` masks that ships with the project as `name`, e.g. "synthetic_nuscenes".

    Raises:
        DataError: there is none; the message lists them.
    """
    package = Path(__file__).parents[1]
    # In a wheel the masks lie in the package, in a checkout in the technician's folder calib/, as the rigs do.
    roots = [root for root in (package / "masks", package.parent / "calib" / "masks") if root.is_dir()]
    shipped = {folder.name: folder for root in roots for folder in sorted(root.iterdir()) if folder.is_dir()}
    if name not in shipped:
        raise DataError(f"no masks named {name!r} ship with surround_depth; there are {', '.join(sorted(shipped))}")
    return shipped[name]
