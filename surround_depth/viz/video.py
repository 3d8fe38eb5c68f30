"""Write videos that a browser plays: VP9 in MP4, which OpenCV's own wheel encodes without further packages."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from surround_depth.closing import Closing
from surround_depth.errors import DataError
from surround_depth.viz.drawing import Picture

# H.264 would need a licensed or hardware encoder; VP9 plays in Chrome, Edge, Firefox and Safari 14 and later.
_FOURCC = "vp09"
SUFFIX = ".mp4"


class VideoWriter(Closing):
    """Pictures in, a video file out. The first picture fixes the size; `close` completes the file.

    Raises:
        DataError: the suffix is not .mp4, the file cannot be written, or a picture has another size than the first.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        if path.suffix != SUFFIX:
            raise DataError(f"{path}: videos are written as {SUFFIX}")
        self.path = path
        self.n_frames = 0
        self._frames_per_second = frames_per_second
        self._size_px: tuple[int, int] | None = None
        self._encoder: cv2.VideoWriter | None = None

    def write(self, picture: Picture) -> None:
        """Append an RGB picture [H, W, 3] with even H and W."""
        height_px, width_px = picture.shape[:2]
        if self._encoder is None:
            self._size_px = (width_px, height_px)
            self._encoder = self._open(width_px, height_px)
        if (width_px, height_px) != self._size_px:
            raise DataError(f"{self.path}: picture of {(width_px, height_px)} pixels in a video of {self._size_px}")
        self._encoder.write(np.ascontiguousarray(picture[..., ::-1]))
        self.n_frames += 1

    def close(self) -> None:
        """Complete the file."""
        if self._encoder is not None:
            self._encoder.release()
            self._encoder = None

    def _open(self, width_px: int, height_px: int) -> cv2.VideoWriter:
        if width_px % 2 or height_px % 2:
            raise DataError(f"{self.path}: video pictures have even sides, got {width_px}x{height_px}")
        fourcc = cv2.VideoWriter.fourcc(*_FOURCC)
        encoder = cv2.VideoWriter(str(self.path), fourcc, self._frames_per_second, (width_px, height_px))
        if not encoder.isOpened():
            raise DataError(f"{self.path}: the video cannot be written; does the folder exist and is there room?")
        return encoder
