"""What both tree formats share: names, stamps, camera checks, images and masks on disk."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import cv2
import numpy as np

from surround_depth.data.synthetic.drive_types import RenderedDrive, RenderedSample
from surround_depth.errors import DataError
from surround_depth.files import write_atomic
from surround_depth.frame import check_image
from surround_depth.geometry import Array, Lens, R_to_quaternion
from surround_depth.rig import Camera


def require_new_tree(root: Path) -> None:
    """Raise `DataError` where `root` already holds a finished tree, whose tables a second one would replace."""
    finished = [*root.glob("*/sample_data.json"), *root.glob("scene_dataset*.json")]
    if finished:
        raise DataError(f"{root} already holds a tree ({finished[0]}); write elsewhere, or remove it first")


def token_of(*names: object) -> str:
    """Return the 32 hexadecimal digits that stand for a record, from its names alone: the same in every run."""
    return hashlib.md5("/".join(map(str, names)).encode(), usedforsecurity=False).hexdigest()


def microseconds(stamp_ns: int) -> int:
    """Return the whole microseconds nearest to a stamp: both formats store no finer time."""
    return (int(stamp_ns) + 500) // 1000


def pose_numbers(T: Array) -> tuple[list[float], list[float]]:
    """Return translation in metres and quaternion wxyz of a transform [4, 4]."""
    return T[:3, 3].tolist(), R_to_quaternion(T[:3, :3]).tolist()


def check_drive(drive: RenderedDrive) -> None:
    """Raise `DataError` where the formats cannot hold the drive."""
    for name in (drive.name, *drive.rig.names):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise DataError(f"drive {drive.name!r}: {name!r} becomes a file name; use letters, digits, - and _ only")
    for camera in drive.rig.cameras:
        if camera.lens != Lens():
            raise DataError(f"drive {drive.name}: {camera.name} is {camera.lens.model}; these formats are pinhole")


def check_sample(drive: RenderedDrive, sample: RenderedSample) -> None:
    """Raise `DataError` unless a sample has per camera one RGB image and one float32 depth of its size, and a pose."""
    n = len(drive.rig)
    counts = (len(sample.images), len(sample.depth_m), len(sample.stamps_ns), len(sample.T_world_ego))
    if counts != (n, n, n, n):
        raise DataError(f"drive {drive.name}: {counts} images, depths, stamps and poses for {n} cameras")
    for camera, image, depth_m in zip(drive.rig.cameras, sample.images, sample.depth_m, strict=True):
        where, size = f"drive {drive.name}, {camera.name}", (camera.height_px, camera.width_px)
        check_image(image, *size, where)
        if depth_m.shape != size or depth_m.dtype != np.float32:
            raise DataError(f"{where}: expected float32 depth of shape {size}, got {depth_m.dtype} {depth_m.shape}")


def write_own_body(path: Path, camera: Camera) -> None:
    """Write a camera's mask, 255 = keep and 0 = own vehicle; a tree holds one mask per camera.

    A camera without a mask keeps every pixel, and that is written too: else it would inherit the mask of another drive.

    Raises:
        DataError: the tree already holds another mask of this camera.
    """
    own_body = np.zeros((camera.height_px, camera.width_px), np.bool_) if camera.own_body is None else camera.own_body
    encoded, png = cv2.imencode(".png", np.where(own_body, 0, 255).astype(np.uint8))
    if not encoded:
        raise DataError(f"{path}: the mask of {camera.name} cannot be encoded as PNG")
    data = png.tobytes()
    if path.is_file() and path.read_bytes() != data:
        raise DataError(f"{path} holds another mask; drives of another rig or resolution need another root")
    write_atomic(path, data)
