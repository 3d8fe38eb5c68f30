"""Can a chain hold a rate: frames that come at fixed times, the latest wins, and what is late or lost is counted.

The rule is the vehicle's: a camera does not wait. When the chain is free it takes the newest frame that has come and
drops those before it, so that the age of a result stays bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from surround_depth.errors import ConfigError
from surround_depth.export.benchmark import WholeChain
from surround_depth.export.frames import ProofFrames
from surround_depth.inference.backend import Backend
from surround_depth.inference.latency import p99_text

MAX_DROPPED_SHARE = 0.01
_SEARCH_STEPS = 40


@dataclass(frozen=True)
class Clock:
    """The clock that frames come by; a test, or a search on recorded durations, brings its own."""

    now_s: Callable[[], float] = time.monotonic
    sleep_s: Callable[[float], None] = time.sleep


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

    @property
    def dropped_share(self) -> float:
        """Of the frames that came."""
        return self.n_dropped / self.n_due


def hold_rate(
    process: Callable[[int], object], rate_hz: float, n_frames: int, clock: Clock | None = None
) -> RateResult:
    """Let `n_frames` come at `rate_hz` and process them one after another by the rule above.

    Args:
        process: gets the number of the frame, 0 to n_frames - 1.

    Raises:
        ConfigError: a rate that is not positive, or fewer than two frames.
    """
    if not rate_hz > 0 or n_frames < 2:
        raise ConfigError(f"a rate is positive and has at least two frames, got {rate_hz} Hz and {n_frames} frames")
    clock = clock or Clock()
    start_s, index = clock.now_s(), 0
    done_s, ages_s, n_dropped = [], [], 0
    while index < n_frames:
        wait_s = start_s + index / rate_hz - clock.now_s()
        if wait_s > 0:
            clock.sleep_s(wait_s)
        newest = min(n_frames - 1, max(index, int((clock.now_s() - start_s) * rate_hz)))
        n_dropped += newest - index
        process(newest)
        done_s.append(clock.now_s())
        ages_s.append(done_s[-1] - start_s - newest / rate_hz)
        index = newest + 1
    p50, p90, p99 = np.percentile(ages_s, (50, 90, 99)) * 1e3
    return RateResult(
        rate_hz=rate_hz,
        n_due=n_frames,
        n_dropped=n_dropped,
        n_missed=sum(age > 1.0 / rate_hz for age in ages_s),
        age_p50_ms=float(p50),
        age_p90_ms=float(p90),
        age_p99_ms=float(p99),
        age_max_ms=1e3 * max(ages_s),
        jitter_ms=1e3 * float(np.std(np.diff(done_s))) if len(done_s) > 1 else 0.0,
    )


def measure_rates(backend: Backend, frames: ProofFrames, rates_hz: Sequence[float], seconds: float) -> list[RateResult]:
    """Let frames come at each rate for `seconds`, through the whole chain from JPEG to fused cloud.

    Raises:
        ConfigError: a rate that is not positive, or a time in which fewer than two frames come.
    """
    if not rates_hz:
        return []
    chain = WholeChain(backend, frames, window=1)
    return [hold_rate(chain, rate_hz, int(rate_hz * seconds)) for rate_hz in rates_hz]


def highest_rate_hz(durations_ms: Sequence[float]) -> float:
    """Return the highest rate at which a chain with these durations drops less than `MAX_DROPPED_SHARE` of its frames.

    The durations are played through the same rule, again and again until a share of that size can be told: the chain
    does one frame at a time, so what it would have done at another rate is known.

    Raises:
        ConfigError: no durations.
    """
    if not durations_ms:
        raise ConfigError("a highest rate needs measured durations")
    n_frames = max(len(durations_ms), round(4 / MAX_DROPPED_SHARE))
    low_hz, high_hz = 0.5e3 / max(durations_ms), 2e3 / min(durations_ms)
    for _ in range(_SEARCH_STEPS):
        middle_hz = (low_hz * high_hz) ** 0.5
        if _replayed(durations_ms, middle_hz, n_frames).dropped_share < MAX_DROPPED_SHARE:
            low_hz = middle_hz
        else:
            high_hz = middle_hz
    return low_hz


def rates_table(results: Sequence[RateResult]) -> str:
    """Return the rates as a Markdown table."""
    head = ("Hz", "frames", "dropped", "missed", "age p50 ms", "age p90 ms", "age p99 ms", "age max ms", "jitter ms")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for r in results:
        p99 = p99_text(r.age_p99_ms, r.n_due - r.n_dropped)
        ages = (f"{r.age_p50_ms:.1f}", f"{r.age_p90_ms:.1f}", p99, f"{r.age_max_ms:.1f}", f"{r.jitter_ms:.1f}")
        cells = [f"{r.rate_hz:.3g}", *map(str, (r.n_due, r.n_dropped, r.n_missed)), *ages]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _replayed(durations_ms: Sequence[float], rate_hz: float, n_frames: int) -> RateResult:
    now_s, n_done = 0.0, 0

    def advance(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    def process(index: int) -> None:
        nonlocal n_done
        advance(1e-3 * durations_ms[n_done % len(durations_ms)])
        n_done += 1

    return hold_rate(process, rate_hz, n_frames, Clock(lambda: now_s, advance))
