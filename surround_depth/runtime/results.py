"""What a playback hands out: every processed frame while it runs, and what it measured at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from surround_depth.data.network_truth import TruthKind
from surround_depth.data.sample import Sample
from surround_depth.frame import PointCloud, SurroundDepth
from surround_depth.inference.latency import LatencyRecorder
from surround_depth.metrics.scoreboard import ScoreBoard


@dataclass(frozen=True)
class PlayedFrame:
    """One processed moment."""

    index: int  # place in the sequence
    sample: Sample
    depth: SurroundDepth
    cloud: PointCloud
    title: str  # which sequence, which sample
    status: str  # how long it took, how many were dropped so far

    @property
    def stamp_ns(self) -> int:
        """The reference stamp of the frame."""
        return self.sample.frame.reference_stamp_ns


@dataclass
class PlaybackResult:
    """What a playback measured.

    `latency` has the steps "prepare", "infer", "decode" and "fuse", which overlap from frame to frame; "total", from
    the beginning of prepare to the fused cloud, with the waits between the steps; and, unless played as fast as
    possible, "age", from the time the frame was due to the fused cloud, with the wait for a free chain and a late read.

    Scores follow the rule of `metrics.scoreboard`, as evaluation does: on the same frames the numbers are the same.
    """

    latency: LatencyRecorder = field(default_factory=LatencyRecorder)
    scores: dict[TruthKind, ScoreBoard] = field(default_factory=dict)  # of every kind of truth that was met
    n_played: int = 0
    n_dropped: int = 0  # overtaken by a newer frame before the chain was free
    n_failed: int = 0  # damaged: could not be read or processed
    first_failure: str | None = None
    n_points: list[int] = field(default_factory=list)  # of each cloud
