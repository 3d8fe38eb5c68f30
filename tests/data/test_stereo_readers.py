"""Readers of stereo trees, on tiny trees of their forms written here; what is damaged is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from surround_depth.data.stereo import StereoPair, StereoPairs, resized_pair
from surround_depth.data.stereo_build import StereoDataConfig, open_stereo_pairs
from surround_depth.errors import DataError
from surround_depth.imaging import InputSpec

H, W = 20, 32
K = np.array([[721.5, 0.0, 609.6], [0.0, 721.5, 172.9], [0.0, 0.0, 1.0]])
SEQUENCE, MOMENT = "2018-07-09-16-11-56", "2018-07-09-16-11-56_2018-07-09-16-12-01-123"


def numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.12e}" for value in np.asarray(values).reshape(-1))


def projection(shift_px_m: float) -> np.ndarray:
    return np.column_stack((K, [shift_px_m, 0.0, 0.0]))


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_pictures(left: Path, right: Path, disparity: Path) -> None:
    """Write a left picture that is red (OpenCV's order is blue first), a right one that is blue, and disparities."""
    write_image(left, np.full((H, W, 3), (0, 0, 200), np.uint8))
    write_image(right, np.full((H, W, 3), (200, 0, 0), np.uint8))
    stored = np.zeros((H, W), np.uint16)
    stored[3, 4], stored[5, 6] = 256 * 37 + 64, 1
    write_image(disparity, stored)


def kitti(root: Path) -> StereoDataConfig:
    training = root / "training"
    for number in ("000000", "000001"):
        names = [training / folder / f"{number}_10.png" for folder in ("image_2", "image_3", "disp_occ_0")]
        write_pictures(*names)
        calibration = training / "calib_cam_to_cam" / f"{number}.txt"
        calibration.parent.mkdir(exist_ok=True)
        calibration.write_text(
            "calib_time: 09-Jan-2012 13:57:47\ncorner_dist: 9.95e-02\n"
            f"P_rect_02: {numbers(projection(45.0))}\nP_rect_03: {numbers(projection(45.0 - 721.5 * 0.54))}\n"
        )
    return StereoDataConfig(kind="kitti_2015", root=str(root))


def driving(root: Path, deeper: str = SEQUENCE, calibration: str = "train-calib") -> StereoDataConfig:
    write_pictures(
        root / "train-left-image" / deeper.format("left-image") / f"{MOMENT}.jpg",
        root / "train-right-image" / deeper.format("right-image") / f"{MOMENT}.jpg",
        root / "train-disparity-map" / deeper.format("disparity-map") / f"{MOMENT}.png",
    )
    path = root / calibration / "half-image-calib" / f"{SEQUENCE}.txt"
    path.parent.mkdir(parents=True)
    quarter_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    path.write_text(
        f"R_101: {numbers(np.eye(3))}\nT_101: 0 0 0\nP_rect_101: {numbers(projection(0.0))}\n"
        f"R_103: {numbers(quarter_turn)}\nT_103: 0 -0.54 0\nP_rect_103: {numbers(projection(-721.5 * 1.08))}\n"
    )
    return StereoDataConfig(kind="driving_stereo", root=str(root))


def require_known_pair(pair: StereoPair) -> None:
    assert pair.left.shape == pair.right.shape == (H, W, 3)
    assert np.abs(pair.left[0, 0].astype(int) - (200, 0, 0)).max() < 6  # red is first; JPEG rounds
    assert np.abs(pair.right[0, 0].astype(int) - (0, 0, 200)).max() < 6
    assert pair.disparity_px[3, 4] == 37.25
    assert pair.disparity_px[5, 6] == 1 / 256
    assert np.isnan(pair.disparity_px).sum() == H * W - 2
    np.testing.assert_allclose(pair.K, K)
    assert pair.baseline_m == pytest.approx(0.54)
    assert pair.depth_m[3, 4] == pytest.approx(721.5 * 0.54 / 37.25)


@pytest.mark.parametrize("write", [kitti, driving])
def test_a_tree_is_read(tmp_path: Path, write: Callable[[Path], StereoDataConfig]) -> None:
    pairs: StereoPairs = open_stereo_pairs(write(tmp_path))
    assert len(pairs) == len(pairs.drives) == (2 if write is kitti else 1)
    assert pairs.drives[0] == ("000000_10" if write is kitti else SEQUENCE)
    require_known_pair(pairs[len(pairs) - 1])


@pytest.mark.parametrize(("deeper", "calibration"), [("{}-half-size", "calib"), (".", "train-calib")])
def test_other_places_of_drivingstereos_files(tmp_path: Path, deeper: str, calibration: str) -> None:
    pairs = open_stereo_pairs(driving(tmp_path, deeper, calibration))
    assert pairs.drives == (SEQUENCE,)
    require_known_pair(pairs[0])


def test_kittis_licence_binds(tmp_path: Path) -> None:
    assert "NC" in open_stereo_pairs(kitti(tmp_path)).licence


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"disp_occ_0 holds no NUMBER_10\.png"):
        open_stereo_pairs(StereoDataConfig(kind="kitti_2015", root=str(tmp_path)))
    with pytest.raises(DataError, match="test-disparity-map holds no disparity PNG"):
        open_stereo_pairs(StereoDataConfig(kind="driving_stereo", root=str(tmp_path), split="test"))
    with pytest.raises(DataError, match=r"KITTI 2015 root .*nowhere. is not a folder"):
        open_stereo_pairs(StereoDataConfig(kind="kitti_2015", root=str(tmp_path / "nowhere")))


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    training = tmp_path / "training"
    pairs = open_stereo_pairs(kitti(tmp_path))
    calibration = training / "calib_cam_to_cam" / "000000.txt"
    text = calibration.read_text()
    wide, eight_bits = np.zeros((H, W + 1, 3), np.uint8), np.zeros((H, W), np.uint8)
    damage: list[tuple[Path, bytes | None, str]] = [
        (training / "image_3" / "000000_10.png", None, r"image_3/000000_10\.png cannot be read"),
        (training / "image_3" / "000000_10.png", b"no picture", r"image_3/000000_10\.png is not a readable image"),
        (training / "image_2" / "000000_10.png", cv2.imencode(".png", wide)[1].tobytes(), r"image_2.* is \(20, 33\)"),
        (training / "disp_occ_0" / "000000_10.png", cv2.imencode(".png", eight_bits)[1].tobytes(), "expected a 16-bit"),
        (calibration, None, r"000000\.txt: the calibration cannot be read"),
        (calibration, text.replace("P_rect_03", "P_rect_04").encode(), "expected P_rect_03 with 12 numbers, got noth"),
        (calibration, text.rpartition(" ")[0].encode(), "expected P_rect_03 with 12 numbers, got 11 values"),
        (calibration, text.replace("P_rect_02", "x").replace("P_rect_03", "P_rect_02").encode(), "P_rect_03"),
        (
            calibration,
            text.replace("P_rect_02", "P").replace("P_rect_03", "P_rect_02").replace("P:", "P_rect_03:").encode(),
            "camera 3 lies 0.540 m to the left of camera 2",
        ),
        (calibration, text.replace("6.096", "6.196", 1).encode(), "the two rectified cameras have different K"),
    ]
    for path, content, message in damage:
        whole = path.read_bytes()
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            pairs[0]
        path.write_bytes(whole)
    require_known_pair(pairs[0])


def test_a_smaller_pair_has_smaller_disparities() -> None:
    """At half size a plane of 8 px is one of 4 px, the same depth; sky stays sky, and what is not known is not."""
    disparity_px = np.full((64, 128), 8.0, np.float32)
    disparity_px[:16], disparity_px[48:] = 0.0, np.nan
    picture = np.zeros((64, 128, 3), np.uint8)
    pair = StereoPair(
        "plane", picture, picture, np.array([[100.0, 0, 63.5], [0, 100, 31.5], [0, 0, 1]]), 0.5, disparity_px
    )
    small = resized_pair(pair, InputSpec(height_px=32, width_px=64))
    np.testing.assert_allclose(small.K, [[50, 0, 31.5], [0, 50, 15.5], [0, 0, 1]])
    assert (small.disparity_px[:8] == 0).all()
    np.testing.assert_allclose(small.disparity_px[8:24], 4.0, rtol=1e-6)
    assert np.isnan(small.disparity_px[24:]).all()
    assert small.depth_m[12, 0] == pytest.approx(100 * 0.5 / 8)


def test_what_is_no_pair_is_refused() -> None:
    picture, disparity_px = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.float32)
    good = {"left": picture, "right": picture, "K": K, "baseline_m": 0.5, "disparity_px": disparity_px}
    faults: list[tuple[str, object, str]] = [
        ("right", picture[:, 1:], r"stereo pair x, right: expected uint8 RGB of shape \(4, 6, 3\)"),
        ("disparity_px", disparity_px[1:], r"disparity_px must be float32 \(4, 6\)"),
        ("disparity_px", disparity_px - 1, "a disparity is negative or infinite"),
        ("baseline_m", float("nan"), "baseline_m positive"),
        ("K", -K, "fx > 0"),
    ]
    for key, value, message in faults:
        with pytest.raises(DataError, match=message):
            StereoPair("x", **{**good, key: value})  # type: ignore[arg-type]
