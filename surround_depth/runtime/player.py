"""Play a drive through the whole system: paced samples in; depth, cloud and numbers out, to whoever wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.frame import PointCloud, SurroundDepth
from surround_depth.fusion import fuse
from surround_depth.imaging import plan_images
from surround_depth.inference.backend import Backend
from surround_depth.inference.latency import LatencyRecorder
from surround_depth.inference.pipeline import SurroundDepthPipeline
from surround_depth.runtime.pacing import REAL_CLOCK, MonotonicClock, Playback, PlaybackOptions
from surround_depth.runtime.scoring import DepthScore, dense_truth, lidar_truth

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
    """What a playback measured. Latencies are per stage; "total" is from the frame to the fused cloud."""

    latency: LatencyRecorder = field(default_factory=LatencyRecorder)
    lidar_score: DepthScore = field(default_factory=DepthScore)
    truth_score: DepthScore = field(default_factory=DepthScore)
    n_played: int = 0
    n_dropped: int = 0
    n_points: list[int] = field(default_factory=list)  # of each cloud


class Player:
    """Drives one engine with one sequence after another. The caller opens and closes the backend."""

    def __init__(self, backend: Backend, fusion: FusionOptions = DEFAULT_FUSION) -> None:
        self._backend = backend
        self._fusion = fusion
        self._pipeline: SurroundDepthPipeline | None = None

    def play(
        self,
        sequence: SampleSequence,
        options: PlaybackOptions,
        show: Callable[[PlayedFrame], None],
        clock: MonotonicClock = REAL_CLOCK,
    ) -> PlaybackResult:
        """Process the sequence at its pace; `show` gets every processed frame and should return at once.

        The first sample is processed once beforehand and thrown away: engines and kernels warm up on it, so that no
        reported latency contains a compilation.

        Raises:
            DataError: the sequence is empty, ends before `start_s`, or holds a damaged image.
            EngineMismatchError: the sequence has more cameras than the engine.
        """
        playback = Playback(sequence, options, clock)
        self._process(sequence[0], LatencyRecorder())
        result = PlaybackResult()
        for index, sample in playback:
            depth, cloud = self._process(sample, result.latency)
            result.n_played, result.n_dropped = playback.n_played, playback.n_dropped
            result.n_points.append(len(cloud))
            title = f"{sequence.name}    {index + 1} / {len(sequence)}"
            show(PlayedFrame(index, sample, depth, cloud, title, _status_line(result)))
            self._score(sample, depth, result)
        result.n_dropped = playback.n_dropped
        return result

    def _process(self, sample: Sample, latency: LatencyRecorder) -> tuple[SurroundDepth, PointCloud]:
        pipeline = self._pipeline_for(sample, latency)
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

    def _pipeline_for(self, sample: Sample, latency: LatencyRecorder) -> SurroundDepthPipeline:
        """Return the pipeline of the sample's rig; a recording may be re-calibrated midway, the engine stays."""
        if self._pipeline is None or self._pipeline.rig.fingerprint != sample.frame.rig.fingerprint:
            self._pipeline = SurroundDepthPipeline(self._backend, sample.frame.rig)
        self._pipeline.latency = latency
        return self._pipeline

    def _score(self, sample: Sample, depth: SurroundDepth, result: PlaybackResult) -> None:
        lidar_m = lidar_truth(sample, depth)
        if lidar_m is not None:
            result.lidar_score.add(depth, lidar_m)
        if sample.truth is not None:
            plans = plan_images(sample.frame.rig, self._backend.spec.input)
            result.truth_score.add(depth, dense_truth(sample.truth, plans))


def _status_line(result: PlaybackResult) -> str:
    times = [f"{stage} {result.latency.last_ms(stage) or 0.0:.0f} ms" for stage in _SHOWN_STAGES]
    return "    ".join([*times, f"dropped {result.n_dropped}"])
