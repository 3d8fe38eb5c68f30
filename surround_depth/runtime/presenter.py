"""Draw and show played frames on a thread of its own, so that a slow disk or browser never slows the processing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from surround_depth.closing import Closing
from surround_depth.runtime.results import PlayedFrame
from surround_depth.viz.drawing import Picture
from surround_depth.viz.mosaic import DEFAULT_STYLE, MosaicStyle, draw_mosaic


class Sink(Protocol):
    """Something that shows or stores a frame and its mosaic."""

    def show(self, frame: PlayedFrame, picture: Picture) -> None: ...

    def close(self) -> None: ...


class Presenter(Closing):
    """Hands every frame to the sinks, with its mosaic; at most one frame waits.

    Args:
        sinks: called in order, from the presenter's thread alone; closed with it.
        keep_all: `show` waits for room instead of replacing the waiting frame. For playing as fast as possible, where
            every frame shall be in the video.

    Raises (from `show` and `close`): whatever a sink raised.
    """

    def __init__(self, sinks: Sequence[Sink], *, keep_all: bool, style: MosaicStyle = DEFAULT_STYLE) -> None:
        self.n_skipped = 0
        self._sinks = sinks
        self._keep_all = keep_all
        self._style = style
        self._changed = threading.Condition()
        self._waiting: PlayedFrame | None = None
        self._closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="presenter", daemon=True)
        self._thread.start()

    def show(self, frame: PlayedFrame) -> None:
        """Leave a frame to be shown; an older one that still waits is skipped and counted, unless all are kept."""
        with self._changed:
            if self._keep_all:
                self._changed.wait_for(lambda: self._waiting is None or self._error is not None)
            if self._error is not None:
                raise self._error
            self.n_skipped += self._waiting is not None
            self._waiting = frame
            self._changed.notify_all()

    def close(self) -> None:
        """Show what waits, then close the sinks."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        for sink in self._sinks:
            sink.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while (frame := self._next()) is not None:
                picture = draw_mosaic(
                    frame.depth,
                    frame.cloud,
                    title=frame.title,
                    status=frame.status,
                    lidar=frame.sample.lidar,
                    style=self._style,
                )
                for sink in self._sinks:
                    sink.show(frame, picture)
        except Exception as error:  # handed to the caller's thread, which raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next(self) -> PlayedFrame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closing)
            frame, self._waiting = self._waiting, None
            self._changed.notify_all()
            return frame
