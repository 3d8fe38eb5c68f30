"""Folders of other methods: what each format means, written with numpy, PIL and json alone; what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_world import BoxDrive, make_rig
from PIL import Image

from surround_depth.errors import DataError
from surround_depth.evaluation.prediction import Prediction
from surround_depth.evaluation.prediction_files import PredictionNote, write_note, write_prediction
from surround_depth.evaluation.prediction_folder import PredictionError, PredictionFolder
from surround_depth.frame import SurroundFrame
from surround_depth.window import ImageWindow

H, W = 128, 192  # of the recorded images
DEPTH_M = np.array([[1.5, 2.0, np.nan], [40.0, -1.0, 0.25]], np.float32)


@pytest.fixture(scope="module")
def frame() -> SurroundFrame:
    """A frame of two cameras whose id is a folder in a folder, as DDAD's are: box-drive/0."""
    return BoxDrive(rig=make_rig(("F", "B")), n_samples=1)[0].frame


def folder(root: Path, **note: object) -> Path:
    """Return a folder with one good prediction per camera, in two formats."""
    (root / "box-drive" / "0").mkdir(parents=True)
    np.save(root / "box-drive/0/F.npy", DEPTH_M.astype(np.float64))
    np.savez(root / "box-drive/0/B.npz", depth_m=DEPTH_M[::-1].astype(np.float16))
    if note:
        (root / "prediction.json").write_text(json.dumps(note))
    return root


def test_npy_and_npz_cover_the_whole_image(frame: SurroundFrame, tmp_path: Path) -> None:
    prediction = PredictionFolder(folder(tmp_path))(frame)
    np.testing.assert_array_equal(prediction.depth_m[0], DEPTH_M)
    np.testing.assert_array_equal(prediction.depth_m[1], DEPTH_M[::-1])
    assert prediction.windows[0] == ImageWindow(H, W, 2, 3, 0, 0, 2, 3)
    assert prediction.confidence is None


def test_png_is_kitti(frame: SurroundFrame, tmp_path: Path) -> None:
    (folder(tmp_path) / "box-drive/0/F.npy").unlink()
    Image.fromarray(np.array([[0, 256, 384]] * 2, np.uint16)).save(tmp_path / "box-drive/0/F.png")
    np.testing.assert_array_equal(PredictionFolder(tmp_path)(frame).depth_m[0], [[np.nan, 1.0, 1.5]] * 2)
    (tmp_path / "prediction.json").write_text('{"png_scale": 128}')
    np.testing.assert_array_equal(PredictionFolder(tmp_path)(frame).depth_m[0], [[np.nan, 2.0, 3.0]] * 2)


def test_disparity_is_inverted_and_infinity_is_far(frame: SurroundFrame, tmp_path: Path) -> None:
    root = folder(tmp_path, kind="disparity", method="some net")
    np.save(root / "box-drive/0/F.npy", np.array([[0.5, 0.0, np.nan]] * 2))
    source = PredictionFolder(root)
    np.testing.assert_array_equal(source(frame).depth_m[0], [[2.0, 1e6, np.nan]] * 2)
    assert source.note.method == "some net"


def test_rows_for_columns_and_crops_without_a_window_are_refused(frame: SurroundFrame, tmp_path: Path) -> None:
    """Cameras record 128 x 192; 3 x 2 is transposed, 2 x 5 a crop. Squeezed by an eighth is what networks see."""
    root = folder(tmp_path)
    for shape in ((3, 2), (2, 5)):
        np.save(root / "box-drive/0/F.npy", np.ones(shape))
        with pytest.raises(PredictionError, match=rf"F.npy is {shape[0]}x{shape[1]}, F records 128x192 .* window_px"):
            PredictionFolder(root)(frame)
    np.save(root / "box-drive/0/F.npy", np.ones((9, 12)))
    PredictionFolder(root)(frame)


@pytest.mark.parametrize("confidence", [None, 0.25])
def test_what_is_written_is_read(frame: SurroundFrame, tmp_path: Path, confidence: float | None) -> None:
    """A cropped grid, as our own engines answer: values, window and confidence survive to the bit."""
    depth_m = np.random.default_rng(0).uniform(0.5, 80.0, (64, 96)).astype(np.float32)
    depth_m[3, 4] = np.nan
    window = ImageWindow(H, W, 70, 100, 6, 2, 64, 96)
    sure = None if confidence is None else (np.full((64, 96), confidence, np.float32),) * 2
    write_prediction(tmp_path, frame, Prediction((depth_m, depth_m), (window, window), sure))
    write_note(tmp_path, PredictionNote(method="ours"))
    back = PredictionFolder(tmp_path)(frame)
    np.testing.assert_array_equal(back.depth_m[1], depth_m)
    assert back.windows == (window, window)
    assert (back.confidence is None) == (confidence is None)
    if back.confidence is not None:
        assert back.confidence[0].min() == back.confidence[1].max() == confidence


def test_the_digest_is_of_the_files(frame: SurroundFrame, tmp_path: Path) -> None:
    one = PredictionFolder(folder(tmp_path / "a"))
    other = PredictionFolder(folder(tmp_path / "b"))
    one(frame), other(frame)
    assert one.digests == other.digests
    np.save(tmp_path / "b/box-drive/0/F.npy", DEPTH_M + 1e-6)
    other(frame)
    assert one.digests != other.digests


def test_a_missing_file_is_named_or_counted(frame: SurroundFrame, tmp_path: Path) -> None:
    (folder(tmp_path) / "box-drive/0/F.npy").unlink()
    with pytest.raises(PredictionError, match=r"no box-drive/0/F as \.npz, \.npy or \.png; it has 1 folders"):
        PredictionFolder(tmp_path)(frame)
    source = PredictionFolder(tmp_path, when_missing="no_answer")
    prediction = source(frame)
    assert source.missing == ["box-drive/0/F"]
    assert np.isnan(prediction.depth_m[0]).all()
    assert prediction.depth_m[0].shape == (H, W)


@pytest.mark.parametrize(
    "array, complaint",
    [
        (np.ones((1, 2, 3)), r"F\.npy: the array must be a float array \[h, w\], got float64 \(1, 2, 3\)"),
        (np.ones((2, 3), np.int32), "got int32"),
        (np.ones((0, 3)), r"got float64 \(0, 3\)"),
        (np.array([[None]], object), "not a readable npy"),
    ],
)
def test_wrong_arrays(frame: SurroundFrame, tmp_path: Path, array: np.ndarray, complaint: str) -> None:
    np.save(folder(tmp_path) / "box-drive/0/F.npy", array, allow_pickle=True)
    with pytest.raises(PredictionError, match=complaint):
        PredictionFolder(tmp_path)(frame)


@pytest.mark.parametrize(
    "arrays, complaint",
    [
        ({"depth": DEPTH_M}, "no array 'depth_m'"),
        ({"depth_m": DEPTH_M, "confidence": DEPTH_M}, "confidence must be"),
        ({"depth_m": DEPTH_M, "confidence": np.ones((2, 2))}, "confidence must be"),
        ({"depth_m": DEPTH_M, "window_px": np.array([2, 3, 1, 0])}, "window_px: a grid of 2x3"),
        ({"depth_m": DEPTH_M, "window_px": np.array([2.0])}, "window_px must be 4 integers"),
    ],
)
def test_wrong_npz(frame: SurroundFrame, tmp_path: Path, arrays: dict[str, np.ndarray], complaint: str) -> None:
    np.savez(folder(tmp_path) / "box-drive/0/B.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(PredictionError, match=complaint):
        PredictionFolder(tmp_path)(frame)


def write_file(path: Path) -> bytes:
    """Write a good prediction in the format of the suffix and return its bytes."""
    match path.suffix:
        case ".npy":
            np.save(path, DEPTH_M)
        case ".npz":
            np.savez(path, depth_m=DEPTH_M, confidence=np.ones_like(DEPTH_M), window_px=np.array([2, 3, 0, 0]))
        case _:
            Image.fromarray(np.full((4, 5), 700, np.uint16)).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png"])
def test_files_cut_short_are_named(frame: SurroundFrame, tmp_path: Path, suffix: str) -> None:
    root = folder(tmp_path)
    (root / "box-drive/0/F.npy").unlink()
    path = root / f"box-drive/0/F{suffix}"
    content = write_file(path)
    PredictionFolder(root)(frame)
    for length in range(0, len(content) - 12, 7):
        path.write_bytes(content[:length])
        with pytest.raises(PredictionError, match=rf"F\{suffix}"):
            PredictionFolder(root)(frame)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png"])
def test_flipped_bytes_end_in_an_error_or_an_answer(frame: SurroundFrame, tmp_path: Path, suffix: str) -> None:
    root, rng, refusals = folder(tmp_path), np.random.default_rng(0), []
    (root / "box-drive/0/F.npy").unlink()
    path = root / f"box-drive/0/F{suffix}"
    content = write_file(path)
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = int(rng.integers(0, 256))
        path.write_bytes(damaged)
        try:
            PredictionFolder(root)(frame)
        except PredictionError as error:
            refusals.append(str(error))
    assert len(refusals) > 10
    assert all(f"F{suffix}" in text for text in refusals)


def test_eight_bit_png_is_refused(frame: SurroundFrame, tmp_path: Path) -> None:
    (folder(tmp_path) / "box-drive/0/F.npy").unlink()
    Image.fromarray(np.ones((2, 3), np.uint8)).save(tmp_path / "box-drive/0/F.png")
    with pytest.raises(PredictionError, match=r"F\.png is uint8"):
        PredictionFolder(tmp_path)(frame)


def test_two_files_for_one_camera_are_refused(frame: SurroundFrame, tmp_path: Path) -> None:
    np.savez(folder(tmp_path) / "box-drive/0/F.npz", depth_m=DEPTH_M)
    with pytest.raises(PredictionError, match=r"there as \.npz and \.npy"):
        PredictionFolder(tmp_path)(frame)


def test_nothing_outside_the_folder_is_read(frame: SurroundFrame, tmp_path: Path) -> None:
    root = folder(tmp_path / "inside")
    np.save(tmp_path / "secret.npy", DEPTH_M)
    (root / "box-drive/0/F.npy").unlink()
    os.symlink(tmp_path / "secret.npy", root / "box-drive/0/F.npy")
    with pytest.raises(PredictionError, match="link out of"):
        PredictionFolder(root)(frame)
    climbing = replace(frame, frame_id="../inside/box-drive/0")
    with pytest.raises(PredictionError, match="leaves the data root"):
        PredictionFolder(root)(climbing)
    with pytest.raises(DataError, match="cannot be saved"):
        write_prediction(root, climbing, PredictionFolder(folder(tmp_path / "whole"))(frame))


@pytest.mark.parametrize(
    "note, key", [({"scale": 1}, "scale"), ({"png_scale": 0}, "png_scale"), ({"kind": "x"}, "kind")]
)
def test_a_wrong_note_names_its_key(tmp_path: Path, note: dict[str, object], key: str) -> None:
    with pytest.raises(DataError, match=rf"prediction\.json: {key}"):
        PredictionFolder(folder(tmp_path, **note))
