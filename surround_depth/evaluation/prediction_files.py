"""Depth maps of any method as a folder of files: how predictions made elsewhere are scored, and how ours are saved.

    ROOT/prediction.json                 optional: what the method is and what its numbers mean (`PredictionNote`)
    ROOT/<frame_id>/<CAMERA>.npz         depth_m float [h, w]; optional: confidence float [h, w], window_px int [4]
    ROOT/<frame_id>/<CAMERA>.npy         float [h, w]
    ROOT/<frame_id>/<CAMERA>.png         uint16 [h, w], metres times 256 as KITTI writes them, 0 = no answer

A frame is its sample token (nuScenes, synthetic) or scene/sample (DDAD: a folder in a folder). A grid covers the whole
recorded image, at any size and about its aspect; `window_px` = (resized height, resized width, top, left) says
otherwise for methods that crop. NaN is no answer. Every other number is an answer, also zero, below zero and infinity:
the protocol clamps it.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from surround_depth.config import StrictModel
from surround_depth.data.paths import path_inside, read_json, read_npz
from surround_depth.errors import DataError
from surround_depth.evaluation.prediction import Prediction
from surround_depth.files import write_atomic
from surround_depth.frame import SurroundFrame
from surround_depth.rig import Camera
from surround_depth.window import ImageWindow

NOTE_NAME = "prediction.json"
KITTI_PNG_SCALE = 256.0
SUFFIXES = (".npz", ".npy", ".png")
# Beyond every scored range: an infinite depth is clamped as any far one is, and stays a number on the way there.
_INFINITELY_FAR_M = 1e6

_WIDEST_STRETCH = 1.3
"""Networks squeeze whole pictures by up to an eighth; more is a crop, or rows for columns."""

Grid = NDArray[np.float32]


class PredictionNote(StrictModel):
    """`prediction.json`: what the method is called and what its numbers mean."""

    method: str = ""
    """Empty: the name of the folder."""
    kind: Literal["depth", "disparity"] = "depth"
    """depth: metres along the optical axis. disparity: 1 / depth, in 1/m."""
    png_scale: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = KITTI_PNG_SCALE
    """What a PNG's integers are divided by."""
    source: str = ""
    """Where the predictions come from: code, weights, commit, licence."""


@dataclass(frozen=True, eq=False)
class Answer:
    """One camera's part of a prediction."""

    depth_m: Grid
    window: ImageWindow
    confidence: Grid | None = None


def read_note(root: Path) -> PredictionNote:
    """Return the note of a prediction folder; the defaults where there is none."""
    if not (root / NOTE_NAME).exists():
        return PredictionNote()
    path = path_inside(root, NOTE_NAME, "prediction folder")
    try:
        return PredictionNote.model_validate(read_json(path))
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        key = ".".join(map(str, item["loc"])) or "its content"
        raise DataError(
            f"{path}: {key}: {item['msg']}; known keys: {', '.join(PredictionNote.model_fields)}"
        ) from error


def read_answer(path: Path, camera: Camera, note: PredictionNote) -> Answer:
    """Return what one file answers for one camera."""
    confidence, window_px = None, None
    match path.suffix:
        case ".npz":
            keys = _npz_keys(path)
            values = _as_grid(read_npz(path, "depth_m", "prediction"), path, "depth_m")
            if "confidence" in keys:
                confidence = _as_grid(read_npz(path, "confidence", "prediction"), path, "confidence")
            if "window_px" in keys:
                window_px = read_npz(path, "window_px", "prediction")
        case ".npy":
            values = _as_grid(_read_npy(path), path, "the array")
        case _:
            values = _read_png(path, note.png_scale)
    if confidence is not None and (confidence.shape != values.shape or not _is_probability(confidence)):
        found = f"{confidence.shape}, {float(confidence.min()):g} to {float(confidence.max()):g}"
        raise DataError(f"{path}: confidence must be {values.shape}, 0 to 1; got {found}")
    return Answer(_metres(values, note.kind), _window(path, camera, values.shape, window_px), confidence)


def write_prediction(root: Path, frame: SurroundFrame, prediction: Prediction) -> None:
    """Write what a method answers for one frame as `ROOT/<frame_id>/<CAMERA>.npz`, without loss.

    Raises:
        DataError: the frame's id is no path below `root`, or the disk is full.
    """
    for i, camera in enumerate(frame.rig.cameras):
        window = prediction.windows[i]
        arrays: dict[str, NDArray[np.generic]] = {"depth_m": prediction.depth_m[i]}
        if prediction.confidence is not None:
            arrays["confidence"] = prediction.confidence[i]
        if window != ImageWindow.whole(camera.height_px, camera.width_px, *prediction.depth_m[i].shape):
            corner = (window.resized_height_px, window.resized_width_px, window.top_px, window.left_px)
            arrays["window_px"] = np.array(corner, np.int64)
        relative = Path(frame.frame_id) / f"{camera.name}.npz"
        if relative.is_absolute() or ".." in relative.parts:
            raise DataError(f"frame id {frame.frame_id!r} is no path below {root}; its prediction cannot be saved")
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's stubs take the names for flags
        write_atomic(root / relative, stream.getvalue())


def write_note(root: Path, note: PredictionNote) -> None:
    """Write `prediction.json`."""
    write_atomic(root / NOTE_NAME, (json.dumps(note.model_dump(), indent=2) + "\n").encode())


def no_answer(camera: Camera, like: Answer | None) -> Answer:
    """Return NaN everywhere: the truth there still counts, as not answered.

    Args:
        like: another answer for this camera, whose grid is taken: protocols that score on the grid must find the same
            truth, answered or not. Without one every recorded pixel is a pixel of the grid.
    """
    if like is None:
        size = camera.height_px, camera.width_px
        return Answer(np.full(size, np.nan, np.float32), ImageWindow.whole(*size, *size))
    confidence = None if like.confidence is None else np.zeros_like(like.confidence)
    return Answer(np.full_like(like.depth_m, np.nan), like.window, confidence)


def _npz_keys(path: Path) -> frozenset[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(name.removesuffix(".npy") for name in archive.namelist())
    except Exception as error:  # zipfile trusts what it reads and fails in many ways
        raise DataError(f"{path} is not a readable npz ({error}); write it again") from error


def _read_npy(path: Path) -> NDArray[np.generic]:
    try:
        # mapped, so that a header that claims more than the file holds allocates nothing
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:
        raise DataError(f"{path} is not a readable npy ({error}); write it again with numpy.save") from error


def _read_png(path: Path, scale: float) -> Grid:
    encoded = np.fromfile(path, np.uint8)
    values = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    if values is None:
        raise DataError(f"{path} is not a readable image; write it again")
    if values.dtype != np.uint16 or values.ndim != 2:
        raise DataError(f"{path} is {values.dtype} {values.shape}; a depth PNG is one channel of 16 bits (uint16)")
    return np.where(values > 0, values / np.float32(scale), np.nan).astype(np.float32)


def _as_grid(values: NDArray[np.generic], path: Path, name: str) -> Grid:
    if values.ndim != 2 or 0 in values.shape or not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{path}: {name} must be a float array [h, w], got {values.dtype} {values.shape}")
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _metres(values: Grid, kind: str) -> Grid:
    if kind == "disparity":
        with np.errstate(divide="ignore", over="ignore"):
            values = 1.0 / values
    return np.clip(values, -_INFINITELY_FAR_M, _INFINITELY_FAR_M).astype(np.float32)


def _is_probability(confidence: Grid) -> bool:
    return bool(confidence.min() >= 0.0 and confidence.max() <= 1.0)  # False on NaN


def _window(path: Path, camera: Camera, shape: tuple[int, ...], window_px: NDArray[np.generic] | None) -> ImageWindow:
    height, width = shape
    if window_px is None:
        stretch = (width / height) / (camera.width_px / camera.height_px)
        if not 1.0 / _WIDEST_STRETCH < stretch < _WIDEST_STRETCH:
            raise DataError(
                f"{path} is {height}x{width}, {camera.name} records {camera.height_px}x{camera.width_px} (height x "
                "width): transposed, or of a crop? A grid covers the whole image unless window_px says otherwise"
            )
        return ImageWindow.whole(camera.height_px, camera.width_px, height, width)
    if window_px.shape != (4,) or not np.issubdtype(window_px.dtype, np.integer):
        raise DataError(f"{path}: window_px must be 4 integers, got {window_px.dtype} {window_px.shape}")
    resized_height, resized_width, top, left = (int(value) for value in window_px)
    try:
        return ImageWindow(camera.height_px, camera.width_px, resized_height, resized_width, top, left, height, width)
    except DataError as error:
        raise DataError(f"{path}: window_px: {error}") from error
