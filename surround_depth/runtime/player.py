"""Play a drive through the whole system: paced samples in; depth, cloud and numbers out, to whoever wants them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from surround_depth.data.network_truth import TruthKind, truth_depth_m, truth_kinds
from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud, SurroundDepth, SurroundFrame
from surround_depth.fusion import fuse
from surround_depth.inference.backend import Backend
from surround_depth.inference.latency import NS_PER_MS, LatencyRecorder
from surround_depth.inference.overlapped import FusedFrame, overlapped_chain
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.inference.stage_threads import Outcome, StageThreads
from surround_depth.metrics.scoreboard import ScoreBoard, answered_depth_m
from surround_depth.runtime.failures import MAX_IN_A_ROW, Failures
from surround_depth.runtime.pacing import (
    AS_FAST_AS_POSSIBLE,
    REAL_CLOCK,
    Moment,
    MonotonicClock,
    Playback,
    PlaybackOptions,
)

_SHOWN_STAGES = ("prepare", "infer", "fuse", "total", "age")


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
        """Process the sequence at its pace; `show` gets every processed frame, in order, on a thread of the player.

        The steps of neighbouring frames overlap (`inference.overlapped`). A frame that is overtaken by a newer one
        before the chain is free is dropped, so that the age of what is shown stays bounded; played as fast as possible,
        none is. The first sample is processed once beforehand and thrown away: engines and kernels warm up on it, so
        that no reported latency contains a compilation. A damaged sample is left out and counted as failed.

        Raises:
            DataError: the sequence is empty, ends before `start_s`, or all or ten in a row of its samples are damaged.
            EngineMismatchError: the sequence has more cameras than the engine.
        """
        playback = Playback(sequence, options, clock)
        self._warm_up(sequence)
        receiver = _Receiver(sequence, show, self._pipelines.backend.spec.max_depth_m)
        with overlapped_chain(self._pipelines, self._fuse, _frame_of, receiver, clock_ns=clock.now_ns) as chain:
            receiver.chain = chain
            _hand_in(playback, options, chain)
            chain.finish()
        return receiver.final_result()

    def _warm_up(self, sequence: SampleSequence) -> None:
        """Process the first sample that is not damaged; who plays the sequence learns of the damaged ones."""
        for index in range(min(len(sequence), MAX_IN_A_ROW)):
            with suppress(DataError):
                frame = sequence[index].frame
                self._fuse(self._pipelines.for_rig(frame.rig)(frame))
                return

    def _fuse(self, depth: SurroundDepth) -> PointCloud:
        options = self._fusion
        return fuse(
            depth,
            max_range_m=options.max_range_m,
            min_confidence=options.min_confidence,
            voxel_m=options.voxel_m,
        )


Chain = StageThreads[Moment, FusedFrame]


def _frame_of(moment: Moment) -> SurroundFrame:
    return moment.readable.frame


def _hand_in(playback: Playback, options: PlaybackOptions, chain: Chain) -> None:
    """Give the chain every moment when it is due, until the end, `max_frames`, or until the chain stops."""
    n_handed_in = 0
    for moment in playback:
        is_damaged = isinstance(moment.sample, DataError)
        # what could not be read is submitted, for it must be counted: nothing may replace it
        keep = is_damaged or options.rate == AS_FAST_AS_POSSIBLE
        if not (chain.submit(moment) if keep else chain.offer(moment)):
            return
        n_handed_in += not is_damaged
        if n_handed_in - chain.n_dropped == options.max_frames:
            return


class _Receiver:
    """Takes what comes out of the chain: counts, shows, scores. Called by one thread, in the order of the frames."""

    chain: Chain

    def __init__(self, sequence: SampleSequence, show: Callable[[PlayedFrame], None], max_depth_m: float) -> None:
        self._result = PlaybackResult()
        self._failures = Failures()
        self._sequence = sequence
        self._show = show
        self._max_depth_m = max_depth_m

    def __call__(self, outcome: Outcome[Moment, FusedFrame]) -> None:
        """Take one.

        Raises:
            DataError: ten damaged ones in a row.
        """
        if isinstance(outcome.result, DataError):
            self._failures.add(outcome.result)
            return
        self._failures.add_success()
        self._count(outcome, len(outcome.result.cloud))
        self._present(outcome.item, outcome.result)
        self._score(outcome.item.readable, outcome.result)

    def final_result(self) -> PlaybackResult:
        """Return what was measured, once the chain has finished.

        Raises:
            DataError: the first failure, where nothing else came.
        """
        first = self._failures.first
        if first is not None and self._result.n_played == 0:
            raise first
        self._count_lost()
        self._result.first_failure = None if first is None else str(first)
        return self._result

    def _count(self, outcome: Outcome[Moment, FusedFrame], n_points: int) -> None:
        latency = self._result.latency
        for name, duration_ms in outcome.step_ms.items():
            latency.add(name, duration_ms)
        latency.add("total", (outcome.done_ns - outcome.begun_ns) / NS_PER_MS)
        if outcome.item.due_ns is not None:
            latency.add("age", (outcome.done_ns - outcome.item.due_ns) / NS_PER_MS)
        self._result.n_played += 1
        self._result.n_points.append(n_points)
        self._count_lost()

    def _count_lost(self) -> None:
        self._result.n_dropped, self._result.n_failed = self.chain.n_dropped, self._failures.n

    def _present(self, moment: Moment, fused: FusedFrame) -> None:
        title = f"{self._sequence.name}    {moment.index + 1} / {len(self._sequence)}"
        status = _status_line(self._result)
        self._show(PlayedFrame(moment.index, moment.readable, fused.depth, fused.cloud, title, status))

    def _score(self, sample: Sample, fused: FusedFrame) -> None:
        answered_m = answered_depth_m(fused.depth.depth_m, fused.depth.sky, self._max_depth_m)
        for kind in truth_kinds(sample):
            board = self._result.scores.setdefault(kind, ScoreBoard())
            board.add(fused.depth.rig.names, answered_m, truth_depth_m(sample, fused.plans, kind))


def _status_line(result: PlaybackResult) -> str:
    """Return the newest frame's times, which are its own: only the receiver adds to the recorder."""
    latest = ((stage, result.latency.last_ms(stage)) for stage in _SHOWN_STAGES)
    times = [f"{stage} {last_ms:.0f} ms" for stage, last_ms in latest if last_ms is not None]
    failed = [f"failed {result.n_failed}"] if result.n_failed else []
    return "    ".join([*times, f"dropped {result.n_dropped}", *failed])
