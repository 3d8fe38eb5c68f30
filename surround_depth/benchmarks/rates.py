"""Can the chain hold a rate: frames that come by the clock, the latest wins, and what is late or lost is counted.

The rule is the vehicle's: a camera does not wait. The steps of neighbouring frames overlap, as in the player; a frame
that is overtaken before the chain is free is dropped, so that the age of a result stays bounded. All of it is measured
by really letting frames come: what overlapping threads do at another rate follows from no duration.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from surround_depth.errors import ConfigError, DataError
from surround_depth.export.benchmark import fuse_all, peak_memory_mib, warm_up
from surround_depth.export.energy import EnergyMeter, energy_text
from surround_depth.export.frames import ProofFrames, encode_frame
from surround_depth.frame import SurroundFrame
from surround_depth.inference.backend import Backend
from surround_depth.inference.latency import NS_PER_MS, p99_text
from surround_depth.inference.overlapped import overlapped_chain
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.inference.stage_threads import Outcome, StageThreads
from surround_depth.runtime.pacing import NS_PER_S, REAL_CLOCK, MonotonicClock

MAX_DROPPED_SHARE = 0.01


@dataclass(frozen=True)
class DueFrame:
    """One of the frames that come, counted from 0, and when it is due by the clock."""

    number: int
    due_ns: int


Chain = StageThreads[DueFrame, Any]  # what comes out of it is not looked at
Deliver = Callable[[Outcome[DueFrame, Any]], object]
OpenChain = Callable[[Deliver], Chain]


@dataclass(frozen=True)
class RateResult:
    """What became of the frames of one rate. A result's age is counted from the moment its frame came."""

    rate_hz: float
    n_due: int
    n_dropped: int
    """Overtaken by a newer frame before the chain was free."""
    n_missed: int
    """Processed, but done only after the next frame had come."""
    age_p50_ms: float
    age_p90_ms: float
    age_p99_ms: float
    age_max_ms: float
    jitter_ms: float
    """Standard deviation of the time between two results."""
    joules_per_frame: float | None
    """Of the CPU packages, per processed frame, whatever else ran and idled meanwhile; None where not readable."""
    peak_memory_mib: float
    """The most memory that the process held until the end of this rate; what was measured before counts as well."""

    @property
    def dropped_share(self) -> float:
        """Of the frames that came."""
        return self.n_dropped / self.n_due

    @property
    def is_held(self) -> bool:
        """Whether less than `MAX_DROPPED_SHARE` was dropped."""
        return self.dropped_share < MAX_DROPPED_SHARE


class FrameChains:
    """Opens one overlapped chain after another over the same frames, from JPEG to fused cloud.

    Making one warms it up: fusion loops are compiled, the rig's tables are filled.
    """

    def __init__(self, backend: Backend, frames: ProofFrames) -> None:
        self._encoded = [encode_frame(frame) for frame in frames.frames]
        self._pipelines = RigPipelines(backend)
        pipeline = self._pipelines.for_rig(self._encoded[0].rig)
        warm_up(lambda index: fuse_all(pipeline(self._encoded[index])), len(self._encoded))

    def open(self, deliver: Deliver) -> Chain:
        """Return a running chain; close it before the next is opened, for they share the engine."""
        return overlapped_chain(self._pipelines, fuse_all, self._frame, deliver)

    def _frame(self, due: DueFrame) -> SurroundFrame:
        return self._encoded[due.number % len(self._encoded)]


def hold_rate(open_chain: OpenChain, rate_hz: float, n_frames: int, clock: MonotonicClock = REAL_CLOCK) -> RateResult:
    """Let `n_frames` come at `rate_hz` and return what became of them.

    Raises:
        ConfigError: a rate that is not positive, or fewer than two frames.
        DataError: a frame that cannot be processed.
    """
    if not rate_hz > 0 or n_frames < 2:
        raise ConfigError(f"a rate is positive and has at least two frames, got {rate_hz} Hz and {n_frames} frames")
    done = _Done()
    with open_chain(done) as chain:
        meter, start_ns = EnergyMeter.start(), clock.now_ns()
        for number in range(n_frames):
            due_ns = start_ns + round(number * NS_PER_S / rate_hz)
            clock.sleep_until(due_ns)
            if not chain.offer(DueFrame(number, due_ns)):
                break
        chain.finish()
    return rate_result(rate_hz, n_frames, done.due_ns, done.done_ns, meter.joules(), peak_memory_mib())


def throughput_hz(open_chain: OpenChain, seconds: float, clock: MonotonicClock = REAL_CLOCK) -> float:
    """Return how many frames a second the chain does when the next one always waits, none dropped.

    Raises:
        ConfigError: fewer than two frames were done in the time.
        DataError: as `hold_rate`.
    """
    done = _Done()
    with open_chain(done) as chain:
        end_ns = clock.now_ns() + round(seconds * NS_PER_S)
        for number in itertools.count():
            if clock.now_ns() >= end_ns or not chain.submit(DueFrame(number, clock.now_ns())):
                break
        chain.finish()
    if len(done.done_ns) < 2:
        raise ConfigError(f"{seconds} s are too short: {len(done.done_ns)} frames were done; let it run longer")
    return NS_PER_S * (len(done.done_ns) - 1) / (done.done_ns[-1] - done.done_ns[0])


def rate_result(
    rate_hz: float, n_due: int, due_ns: Sequence[int], done_ns: Sequence[int], joules: float | None, memory_mib: float
) -> RateResult:
    """Return the result of a rate by the processed frames: when each was due and when it was done."""
    ages_ms = (np.asarray(done_ns) - np.asarray(due_ns)) / NS_PER_MS
    p50, p90, p99 = map(float, np.percentile(ages_ms, (50, 90, 99)))
    return RateResult(
        rate_hz=rate_hz,
        n_due=n_due,
        n_dropped=n_due - len(done_ns),
        n_missed=int((ages_ms > 1e3 / rate_hz).sum()),
        age_p50_ms=p50,
        age_p90_ms=p90,
        age_p99_ms=p99,
        age_max_ms=float(ages_ms.max()),
        jitter_ms=float(np.std(np.diff(done_ns))) / NS_PER_MS if len(done_ns) > 1 else 0.0,
        joules_per_frame=None if joules is None else joules / len(done_ns),
        peak_memory_mib=memory_mib,
    )


def measure_rates(chains: FrameChains, rates_hz: Sequence[float], seconds: float) -> list[RateResult]:
    """Let frames come at each rate for `seconds`, through the whole chain from JPEG to fused cloud.

    Raises:
        ConfigError: a rate that is not positive, or a time in which fewer than two frames come.
    """
    return [hold_rate(chains.open, rate_hz, int(rate_hz * seconds)) for rate_hz in rates_hz]


def rates_table(results: Sequence[RateResult]) -> str:
    """Return the rates as a Markdown table."""
    ages = (f"age {which} ms" for which in ("p50", "p90", "p99", "max"))
    head = ("Hz", "frames", "dropped", "missed", *ages, "jitter ms", "J", "MiB")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for r in results:
        p99 = p99_text(r.age_p99_ms, r.n_due - r.n_dropped)
        counts = map(str, (r.n_due, r.n_dropped, r.n_missed))
        times = (f"{r.age_p50_ms:.1f}", f"{r.age_p90_ms:.1f}", p99, f"{r.age_max_ms:.1f}", f"{r.jitter_ms:.1f}")
        cells = (f"{r.rate_hz:.3g}", *counts, *times, energy_text(r.joules_per_frame), f"{r.peak_memory_mib:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


class _Done:
    """Notes when each frame was due and when it was done."""

    def __init__(self) -> None:
        self.due_ns: list[int] = []
        self.done_ns: list[int] = []

    def __call__(self, outcome: Outcome[DueFrame, Any]) -> None:
        if isinstance(outcome.result, DataError):
            raise outcome.result  # these frames are not damaged: a chain that refuses them cannot be measured
        self.due_ns.append(outcome.item.due_ns)
        self.done_ns.append(outcome.done_ns)
