"""KITTI 2015 stereo pairs: 200 of street scenes, disparity from LiDAR and fitted vehicle models.

    ROOT/training/image_2/000000_10.png         left colour picture
    ROOT/training/image_3/000000_10.png         right
    ROOT/training/disp_occ_0/000000_10.png      uint16 = 256 x disparity of the left picture, 0 = none
    ROOT/training/calib_cam_to_cam/000000.txt   P_rect_02, P_rect_03

Folders, scale and keys are those of the benchmark's development kit as we know them; `disp_occ_0` holds pixels that the
right camera does not see too. P_rect_0i = [K | -K b_i], with b_i metres from camera 0, so the baseline is
(P_rect_02[0, 3] - P_rect_03[0, 3]) / fx, about 0.53 m. Checked on trees of this form that tests write, not on KITTI's
own files.
"""

from __future__ import annotations

from pathlib import Path

from surround_depth.data.paths import files_matching, require_root
from surround_depth.data.stereo import ListedPairs, StereoPair
from surround_depth.data.stereo_files import PairFiles, StereoCalibration, entry, read_calibration, shared_K
from surround_depth.errors import DataError

LICENCE = "CC BY-NC-SA 3.0"
_STEPS_PER_PX = 256.0


def open_kitti_2015(root: str | Path) -> ListedPairs:
    """Return the training pairs, each a drive of its own.

    Raises:
        DataError: no such folder, or no disparity in it. When a pair is read: a file is missing or damaged.
    """
    folder = require_root(root, "KITTI 2015") / "training"
    disparities = files_matching(folder / "disp_occ_0", "*_10.png")
    if not disparities:
        raise DataError(f"{folder / 'disp_occ_0'} holds no NUMBER_10.png; give the folder that holds training/")

    def read(index: int) -> StereoPair:
        disparity = disparities[index]
        files = PairFiles(
            disparity.stem,
            folder / "image_2" / disparity.name,
            folder / "image_3" / disparity.name,
            disparity,
            _STEPS_PER_PX,
        )
        return files.read(read_kitti_calibration(folder / "calib_cam_to_cam" / f"{disparity.stem[:-3]}.txt"))

    return ListedPairs("KITTI 2015 stereo", LICENCE, tuple(path.stem for path in disparities), read)


def read_kitti_calibration(path: Path) -> StereoCalibration:
    """Return K and baseline of cameras 2 and 3.

    Raises:
        DataError: the file or an entry is missing, or the two cameras are no rectified pair.
    """
    values = read_calibration(path)
    left_P, right_P = (entry(values, key, (3, 4), path) for key in ("P_rect_02", "P_rect_03"))
    K = shared_K(left_P, right_P, path)
    baseline_m = float((left_P[0, 3] - right_P[0, 3]) / K[0, 0])
    if not baseline_m > 0:
        raise DataError(f"{path}: camera 3 lies {-baseline_m:.3f} m to the left of camera 2; expected to the right")
    return StereoCalibration(K, baseline_m)
