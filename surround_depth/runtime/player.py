"""Play a drive through the whole system: paced samples in; depth, cloud and numbers out, to whoever wants them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from surround_depth.data.sample import SampleSequence
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud, SurroundDepth, SurroundFrame
from surround_depth.fusion import fuse
from surround_depth.inference.backend import Backend
from surround_depth.inference.overlapped import overlapped_chain
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.runtime.failures import MAX_IN_A_ROW
from surround_depth.runtime.pacing import (
    AS_FAST_AS_POSSIBLE,
    REAL_CLOCK,
    Moment,
    MonotonicClock,
    Playback,
    PlaybackOptions,
)
from surround_depth.runtime.receiver import PlayerChain, Receiver
from surround_depth.runtime.results import PlaybackResult, PlayedFrame


@dataclass(frozen=True)
class FusionOptions:
    """The arguments of `fusion.fuse` that playback uses."""

    max_range_m: float = 60.0
    min_confidence: float = 0.5
    voxel_m: float | None = 0.2


DEFAULT_FUSION = FusionOptions()


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
        receiver = Receiver(sequence, show, self._pipelines.backend.spec.max_depth_m)
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


def _frame_of(moment: Moment) -> SurroundFrame:
    return moment.readable.frame


def _hand_in(playback: Playback, options: PlaybackOptions, chain: PlayerChain) -> None:
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
