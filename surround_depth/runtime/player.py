"""Play a drive through the whole system: paced samples in; depth, cloud and numbers out, to whoever wants them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from surround_depth.data.network_truth import TruthKind, truth_depth_m, truth_kinds
from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud, SurroundDepth
from surround_depth.fusion import fuse
from surround_depth.inference.backend import Backend
from surround_depth.inference.latency import LatencyRecorder
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.metrics.scoreboard import ScoreBoard, answered_depth_m
from surround_depth.runtime.failures import MAX_IN_A_ROW
from surround_depth.runtime.pacing import REAL_CLOCK, MonotonicClock, Playback, PlaybackOptions

_SHOWN_STAGES = ("prepare", "infer", "fuse", "total")


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


@dataclass(frozen=True)
class FusionOptions:
    """The arguments of `fusion.fuse` that playback uses."""

    max_range_m: float = 60.0
    min_confidence: float = 0.5
    voxel_m: float | None = 0.2


DEFAULT_FUSION = FusionOptions()


@dataclass
class PlaybackResult:
    """What a playback measured. Latencies are per stage; "total" is from the frame to the fused cloud.

    Scores follow the rule of `metrics.scoreboard`, as evaluation does: on the same frames the numbers are the same.
    """

    latency: LatencyRecorder = field(default_factory=LatencyRecorder)
    scores: dict[TruthKind, ScoreBoard] = field(default_factory=dict)  # of every kind of truth that was met
    n_played: int = 0
    n_dropped: int = 0
    n_failed: int = 0  # damaged: could not be read or processed
    first_failure: str | None = None
    n_points: list[int] = field(default_factory=list)  # of each cloud


class Player:
    """Drives one engine with one sequence after another. The caller opens and closes the backend."""

    def __init__(self, backend: Backend, fusion: FusionOptions = DEFAULT_FUSION) -> None:
        self._pipelines = RigPipelines(backend)
        self._fusion = fusion

    def play(
        self,
        sequence: SampleSequence,
        options: PlaybackOptions,
        show: Callable[[PlayedFrame], None],
        clock: MonotonicClock = REAL_CLOCK,
    ) -> PlaybackResult:
        """Process the sequence at its pace; `show` gets every processed frame and should return at once.

        The first sample is processed once beforehand and thrown away: engines and kernels warm up on it, so that no
        reported latency contains a compilation. A damaged sample is left out and counted as failed.

        Raises:
            DataError: the sequence is empty, ends before `start_s`, or all or ten in a row of its samples are damaged.
            EngineMismatchError: the sequence has more cameras than the engine.
        """
        playback = Playback(sequence, options, clock)
        failures = playback.failures
        self._warm_up(sequence)
        result = PlaybackResult()
        for index, sample in playback:
            try:
                depth, cloud = self._process(sample, result.latency)
            except DataError as error:
                failures.add(error)
                continue
            failures.add_success()
            result.n_played += 1
            result.n_dropped, result.n_failed = playback.n_dropped, failures.n
            result.n_points.append(len(cloud))
            title = f"{sequence.name}    {index + 1} / {len(sequence)}"
            show(PlayedFrame(index, sample, depth, cloud, title, _status_line(result)))
            self._score(sample, depth, result)
        if failures.first is not None and result.n_played == 0:
            raise failures.first
        result.n_dropped, result.n_failed = playback.n_dropped, failures.n
        result.first_failure = None if failures.first is None else str(failures.first)
        return result

    def _warm_up(self, sequence: SampleSequence) -> None:
        """Process the first sample that is not damaged; who plays the sequence learns of the damaged ones."""
        for index in range(min(len(sequence), MAX_IN_A_ROW)):
            with suppress(DataError):
                self._process(sequence[index], LatencyRecorder())
                return

    def _process(self, sample: Sample, latency: LatencyRecorder) -> tuple[SurroundDepth, PointCloud]:
        pipeline = self._pipelines.for_rig(sample.frame.rig)
        pipeline.latency = latency
        options = self._fusion
        with latency.stage("total"):
            depth = pipeline(sample.frame)
            with latency.stage("fuse"):
                cloud = fuse(
                    depth,
                    max_range_m=options.max_range_m,
                    min_confidence=options.min_confidence,
                    voxel_m=options.voxel_m,
                )
        return depth, cloud

    def _score(self, sample: Sample, depth: SurroundDepth, result: PlaybackResult) -> None:
        plans = self._pipelines.for_rig(sample.frame.rig).plans
        answered_m = answered_depth_m(depth.depth_m, depth.sky, self._pipelines.backend.spec.max_depth_m)
        for kind in truth_kinds(sample):
            board = result.scores.setdefault(kind, ScoreBoard())
            board.add(depth.rig.names, answered_m, truth_depth_m(sample, plans, kind))


def _status_line(result: PlaybackResult) -> str:
    times = [f"{stage} {result.latency.last_ms(stage) or 0.0:.0f} ms" for stage in _SHOWN_STAGES]
    failed = [f"failed {result.n_failed}"] if result.n_failed else []
    return "    ".join([*times, f"dropped {result.n_dropped}", *failed])
