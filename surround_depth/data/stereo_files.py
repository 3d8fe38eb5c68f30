"""What readers of recorded stereo trees share: pictures, disparity PNGs, and calibration files of `KEY: numbers`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.data.paths import reason_of
from surround_depth.data.stereo import StereoPair
from surround_depth.errors import DataError
from surround_depth.geometry import Array

_AGAIN = "download or copy it again"
_CENTRE_TOLERANCE_PX = 0.05


@dataclass(frozen=True)
class StereoCalibration:
    """Of both pictures of a rectified pair."""

    K: Array  # [3, 3]
    baseline_m: float


@dataclass(frozen=True)
class PairFiles:
    """Where a pair lies, and what its disparity PNG counts in."""

    name: str
    left: Path
    right: Path
    disparity: Path
    steps_per_px: float
    """The PNG holds uint16 = disparity times this; 0 = not known."""

    def read(self, calibration: StereoCalibration) -> StereoPair:
        """Return the pair.

        Raises:
            DataError: a file is missing or damaged, or the three are not of one size.
        """
        disparity_px = read_disparity(self.disparity, self.steps_per_px)
        left, right = read_rgb(self.left), read_rgb(self.right)
        for path, picture in ((self.left, left), (self.right, right)):
            if picture.shape[:2] != disparity_px.shape:
                raise DataError(f"{path} is {picture.shape[:2]}, {self.disparity} is {disparity_px.shape}; {_AGAIN}")
        return StereoPair(self.name, left, right, calibration.K, calibration.baseline_m, disparity_px)


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return a PNG or JPEG as RGB [H, W, 3].

    Raises:
        DataError: missing or damaged.
    """
    return np.asarray(_decoded(path, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION), np.uint8)


def read_disparity(path: Path, steps_per_px: float) -> NDArray[np.float32]:
    """Return the disparity [H, W] of a 16-bit PNG, NaN where it holds 0.

    Raises:
        DataError: missing, damaged, or not of one 16-bit channel.
    """
    stored = _decoded(path, cv2.IMREAD_UNCHANGED)
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise DataError(f"{path}: expected a 16-bit PNG of one channel, got {stored.dtype} {stored.shape}; {_AGAIN}")
    return np.where(stored > 0, stored / np.float32(steps_per_px), np.float32(np.nan)).astype(np.float32)


def read_calibration(path: Path) -> dict[str, Array]:
    """Return the numbers of every line `KEY: numbers`; lines whose value is not all numbers are left out.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the calibration cannot be read ({reason_of(error)}); {_AGAIN}") from error
    values: dict[str, Array] = {}
    for line in lines:
        key, _, text = line.partition(":")
        try:
            values[key.strip()] = np.array([float(word) for word in text.split()])
        except ValueError:
            continue
    return values


def entry(values: dict[str, Array], key: str, shape: tuple[int, ...], path: Path) -> Array:
    """Return one entry of a calibration in its shape.

    Raises:
        DataError: it is missing, or of another number of values.
    """
    found = values.get(key)
    n = int(np.prod(shape))
    if found is None or found.size != n or not np.isfinite(found).all():
        got = "nothing" if found is None else f"{found.size} values"
        raise DataError(f"{path}: expected {key} with {n} numbers, got {got}; {_AGAIN}")
    return found.reshape(shape)


def shared_K(left_P: Array, right_P: Array, path: Path) -> Array:
    """Return K of two projection matrices [3, 4] of a rectified pair.

    Raises:
        DataError: they differ, so that a disparity of 0 would not be infinitely far.
    """
    if np.abs(left_P[:, :3] - right_P[:, :3]).max() > _CENTRE_TOLERANCE_PX:
        raise DataError(
            f"{path}: the two rectified cameras have different K ({left_P[:, :3].tolist()} and "
            f"{right_P[:, :3].tolist()}); pairs of this reader share one"
        )
    return np.array(left_P[:, :3])


def _decoded(path: Path, flags: int) -> NDArray[Any]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({reason_of(error)}); {_AGAIN}") from error
    try:
        decoded = cv2.imdecode(data, flags) if len(data) else None
    except cv2.error:  # a header that claims more pixels than OpenCV reads
        decoded = None
    if decoded is None:
        raise DataError(f"{path} is not a readable image; {_AGAIN}")
    return np.asarray(decoded)
