"""The two ways to play: without a screen into a folder, or live on a page of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from surround_depth.data.sample import SampleSequence
from surround_depth.files import write_json
from surround_depth.inference.backend import Backend
from surround_depth.runtime.live_page import LivePage
from surround_depth.runtime.pacing import AS_FAST_AS_POSSIBLE, PlaybackOptions, recorded_frequency_hz
from surround_depth.runtime.player import DEFAULT_FUSION, FusionOptions, Player
from surround_depth.runtime.presenter import Presenter, Sink
from surround_depth.runtime.report import playback_report
from surround_depth.runtime.sinks import FolderSink, VideoSink
from surround_depth.viz.mosaic import MosaicStyle

VIDEO_NAME = "mosaic.mp4"
REPORT_NAME = "report.json"


def play_headless(
    backend: Backend,
    sequence: SampleSequence,
    options: PlaybackOptions,
    out: Path,
    *,
    source: dict[str, str],
    every: int | None = None,
    fusion: FusionOptions = DEFAULT_FUSION,
) -> dict[str, Any]:
    """Play into the folder `out` and return the report.

    Leaves `mosaic.mp4`, `mosaic.png` and `cloud.ply` of the last frame, the same of every `every`-th shown frame where
    given, and `report.json`. `source` is copied into the report.

    Raises:
        DataError: a file cannot be written or read.
    """
    out.mkdir(parents=True, exist_ok=True)
    sinks = (VideoSink(out / VIDEO_NAME, recorded_frequency_hz(sequence)), FolderSink(out, every))
    with _presenter(sinks, options, fusion) as presenter:
        result = Player(backend, fusion).play(sequence, options, presenter.show)
    report = playback_report(result, options, backend.spec, {**source, "scene": sequence.name})
    write_json(out / REPORT_NAME, report)
    return report


def play_live(
    backend: Backend,
    sequence: SampleSequence,
    options: PlaybackOptions,
    *,
    source: dict[str, str],
    announce: Callable[[str], None],
    port: int = 0,
    fusion: FusionOptions = DEFAULT_FUSION,
) -> dict[str, Any]:
    """Play on a page of this machine and return the report; `announce` gets the page's address once it answers."""
    page = LivePage(port)
    announce(page.url)
    with _presenter((page,), options, fusion) as presenter:
        result = Player(backend, fusion).play(sequence, options, presenter.show)
    return playback_report(result, options, backend.spec, {**source, "scene": sequence.name})


def _presenter(sinks: Sequence[Sink], options: PlaybackOptions, fusion: FusionOptions) -> Presenter:
    style = MosaicStyle(min_confidence=fusion.min_confidence)
    return Presenter(sinks, keep_all=options.rate == AS_FAST_AS_POSSIBLE, style=style)
