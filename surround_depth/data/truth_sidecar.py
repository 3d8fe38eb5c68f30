"""Exact dense depth beside an image tree: `dense_depth/<image path>.npz`, lossless float32, NaN = none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.paths import path_inside, read_npz
from surround_depth.data.sample import DenseTruth
from surround_depth.data.stable_bytes import npz_bytes
from surround_depth.errors import DataError
from surround_depth.files import write_atomic
from surround_depth.frame import EncodedImage, SurroundFrame

FOLDER = "dense_depth"
_KEY = "depth_m"


def write_dense_truth(root: Path, image_relpath: str, depth_m: NDArray[np.float32]) -> None:
    """Write the z-depth [H, W] of an image; NaN = sky."""
    if depth_m.ndim != 2 or depth_m.dtype != np.float32:
        raise DataError(f"dense depth of {image_relpath}: expected float32 [H, W], got {depth_m.dtype} {depth_m.shape}")
    write_atomic(root / FOLDER / f"{image_relpath}.npz", npz_bytes(_KEY, depth_m))


def read_dense_truth(root: Path, image_relpath: str) -> NDArray[np.float32]:
    """Return the z-depth [H, W] of an image, NaN = sky.

    Raises:
        DataError: no such file, damaged, or not float32 [H, W].
    """
    path = path_inside(root, f"{FOLDER}/{image_relpath}.npz", f"dense depth of {image_relpath}")
    depth_m = read_npz(path, _KEY, f"dense depth of {image_relpath}")
    if depth_m.ndim != 2 or depth_m.dtype != np.float32:
        raise DataError(f"{path} holds {depth_m.dtype} {depth_m.shape}, expected float32 [H, W]; render it again")
    return depth_m


def read_frame_truth(root: Path, frame: SurroundFrame) -> DenseTruth:
    """Return the truth of every camera of a frame that was read from `root`; all NaN and no sky where it has no image.

    Raises:
        DataError: an image has no truth, or truth of another size.
    """
    depth_m, sky = [], []
    for camera, image in zip(frame.rig.cameras, frame.images, strict=True):
        size = (camera.height_px, camera.width_px)
        if isinstance(image, EncodedImage):
            truth_m = read_dense_truth(root, Path(image.source).relative_to(root).as_posix())
            if truth_m.shape != size:
                raise DataError(f"dense depth of {image.source} is {truth_m.shape}, the image {size}; render it again")
            depth_m.append(truth_m)
            # Rendered surfaces are all finite: what the ray did not meet is sky.
            sky.append(np.isnan(truth_m))
        else:
            depth_m.append(np.full(size, np.nan, np.float32))
            sky.append(np.zeros(size, np.bool_))
    return DenseTruth(tuple(depth_m), tuple(sky))
