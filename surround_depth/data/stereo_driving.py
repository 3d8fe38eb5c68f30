"""DrivingStereo pairs: 182,000 street scenes, disparity from accumulated LiDAR.

    ROOT/train-left-image/SEQUENCE/MOMENT.jpg          left
    ROOT/train-right-image/SEQUENCE/MOMENT.jpg         right
    ROOT/train-disparity-map/SEQUENCE/MOMENT.png       uint16 = 256 x disparity, 0 = none
    ROOT/train-calib/half-image-calib/SEQUENCE.txt     R_101, T_101, P_rect_101 (left), R_103, T_103, P_rect_103 (right)

and the same with `test-` in place of `train-`. Calibrations may lie in `calib/half-image-calib` too, files may lie one
folder deeper (`left-image-half-size` ...), and a folder may hold all moments: SEQUENCE is then what stands before the
first `_` of MOMENT. Only half-size pictures are read.

Seen in public code that reads the set, not on its own files: folder names, keys, 256 steps a pixel at half size (128 at
full size). The baseline is the distance of the centres -R^T T, in metres: one such reader notes that the last column of
`P_rect_103` gives about twice as much at half size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from surround_depth.data.paths import files_matching, require_root
from surround_depth.data.stereo import ListedPairs, StereoPair
from surround_depth.data.stereo_files import PairFiles, StereoCalibration, entry, read_calibration, shared_K
from surround_depth.errors import DataError
from surround_depth.geometry import Array

# we have not read it
LICENCE = "not known here; the page of DrivingStereo says it"
_STEPS_PER_PX = 256.0


def open_driving_stereo(root: str | Path, split: Literal["train", "test"] = "train") -> ListedPairs:
    """Return the pairs of a split in order of sequences.

    Raises:
        DataError: no such folder, or no disparity in it. When a pair is read: a file is missing or damaged.
    """
    base = require_root(root, "DrivingStereo")
    folder = base / f"{split}-disparity-map"
    disparities = files_matching(folder, "**/*.png")
    if not disparities:
        raise DataError(f"{folder} holds no disparity PNG; give the folder that holds {split}-disparity-map/")
    drives = tuple(path.stem.partition("_")[0] for path in disparities)

    def read(index: int) -> StereoPair:
        disparity = disparities[index]
        left, right = (_picture(base / f"{split}-{side}-image", side, folder, disparity) for side in ("left", "right"))
        files = PairFiles(disparity.stem, left, right, disparity, _STEPS_PER_PX)
        return files.read(read_driving_calibration(_calibration_path(base, split, drives[index])))

    return ListedPairs("DrivingStereo", LICENCE, drives, read)


def read_driving_calibration(path: Path) -> StereoCalibration:
    """Return K and baseline of cameras 101 and 103.

    Raises:
        DataError: the file or an entry is missing, or the two cameras are no rectified pair.
    """
    values = read_calibration(path)
    left_P, right_P = (entry(values, key, (3, 4), path) for key in ("P_rect_101", "P_rect_103"))
    left_m, right_m = (
        _centre_m(entry(values, f"R_{i}", (3, 3), path), entry(values, f"T_{i}", (3,), path)) for i in (101, 103)
    )
    return StereoCalibration(shared_K(left_P, right_P, path), float(np.linalg.norm(right_m - left_m)))


def _centre_m(R: Array, t_m: Array) -> Array:
    """Return where a camera stands that maps a point p to R p + t."""
    return -R.T @ t_m


def _picture(folder: Path, side: str, disparity_folder: Path, disparity: Path) -> Path:
    """Return the picture that lies where the disparity does; a folder that only repeats the kind has another name."""
    below = disparity.relative_to(disparity_folder).with_suffix(".jpg")
    renamed = [part.replace("disparity-map", f"{side}-image") for part in below.parts]
    return folder.joinpath(*renamed)


def _calibration_path(base: Path, split: str, sequence: str) -> Path:
    places = [base / name / "half-image-calib" / f"{sequence}.txt" for name in (f"{split}-calib", "calib")]
    return next((path for path in places if path.is_file()), places[0])
