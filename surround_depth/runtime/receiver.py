"""The end of the player's chain: what comes out of it is counted, shown and scored."""

from __future__ import annotations

from collections.abc import Callable

from surround_depth.data.network_truth import truth_depth_m, truth_kinds
from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.errors import DataError
from surround_depth.inference.latency import NS_PER_MS
from surround_depth.inference.overlapped import FusedFrame
from surround_depth.inference.stage_threads import Outcome, StageThreads
from surround_depth.metrics.scoreboard import ScoreBoard, answered_depth_m
from surround_depth.runtime.failures import Failures
from surround_depth.runtime.pacing import Moment
from surround_depth.runtime.results import PlaybackResult, PlayedFrame

PlayerChain = StageThreads[Moment, FusedFrame]
_SHOWN_STAGES = ("prepare", "infer", "fuse", "total", "age")


class Receiver:
    """Takes what comes out of the chain: counts, shows, scores. Called by one thread, in the order of the frames."""

    chain: PlayerChain
    """Set before the first frame is handed in: it knows how many were dropped."""

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
