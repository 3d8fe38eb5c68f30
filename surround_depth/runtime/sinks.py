"""Where played frames go on disk: the mosaic as a video, pictures, clouds."""

from __future__ import annotations

from pathlib import Path

from surround_depth.runtime.pacing import NS_PER_S
from surround_depth.runtime.results import PlayedFrame
from surround_depth.viz.drawing import Picture, write_picture
from surround_depth.viz.ply import write_ply
from surround_depth.viz.video import VideoWriter

# A longer gap of the recording (a loop's seam, a pause) is not filled with still pictures.
_MAX_STILL_S = 5.0


class VideoSink:
    """Writes the mosaics as a video at recorded pace: while frames were dropped, the picture before stands still."""

    def __init__(self, path: Path, frequency_hz: float) -> None:
        self._writer = VideoWriter(path, frequency_hz)
        self._frequency_hz = frequency_hz
        self._last: tuple[int, Picture] | None = None

    def show(self, frame: PlayedFrame, picture: Picture) -> None:
        """Append the mosaic, after as many repeats of the last as there were frames between."""
        if self._last is not None:
            last_stamp_ns, last_picture = self._last
            gap_s = (frame.stamp_ns - last_stamp_ns) / NS_PER_S
            if 0.0 < gap_s < _MAX_STILL_S:
                for _ in range(round(gap_s * self._frequency_hz) - 1):
                    self._writer.write(last_picture)
        self._writer.write(picture)
        self._last = (frame.stamp_ns, picture)

    def close(self) -> None:
        """Complete the file."""
        self._writer.close()


class FolderSink:
    """Writes `mosaic.png` and `cloud.ply` of the last frame, and of every k-th `frame_NNNN.png` and `cloud_NNNN.ply`.

    Args:
        folder: exists.
        every: k, counted in shown frames; None writes the last frame only.
    """

    def __init__(self, folder: Path, every: int | None = None) -> None:
        self._folder = folder
        self._every = every
        self._n_shown = 0
        self._last: tuple[PlayedFrame, Picture] | None = None

    def show(self, frame: PlayedFrame, picture: Picture) -> None:
        """Write the frame when its turn has come."""
        if self._every is not None and self._n_shown % self._every == 0:
            write_picture(self._folder / f"frame_{frame.index:04d}.png", picture)
            write_ply(self._folder / f"cloud_{frame.index:04d}.ply", frame.cloud)
        self._n_shown += 1
        self._last = (frame, picture)

    def close(self) -> None:
        """Write the last frame."""
        if self._last is not None:
            frame, picture = self._last
            write_picture(self._folder / "mosaic.png", picture)
            write_ply(self._folder / "cloud.ply", frame.cloud)
            self._last = None
