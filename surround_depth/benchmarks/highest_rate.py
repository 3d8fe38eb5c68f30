"""The highest rate that a chain holds, found by letting frames come: half the distance again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from surround_depth.benchmarks.rates import MAX_DROPPED_SHARE, FrameChains, RateResult, hold_rate, throughput_hz

N_TRIES = 6
_MARGIN = 1.05
"""Above the throughput, which other work on the machine may have lowered while it was measured."""


@dataclass(frozen=True)
class HighestRate:
    """What a chain can do at most."""

    throughput_hz: float
    """Frames a second when the next one always waits."""
    held: RateResult | None
    """Of the highest rate that was really held; None where not even half the throughput was."""
    seconds: float
    """How long each rate was tried."""

    def text(self) -> str:
        """Return it as a sentence."""
        held = "no rate from half of that on" if self.held is None else f"{self.held.rate_hz:.3g} Hz"
        return (
            f"When the next frame always waits it does {self.throughput_hz:.3g} frames a second. The highest rate that "
            f"it really held, with less than {MAX_DROPPED_SHARE:.0%} of the frames dropped: {held} ({N_TRIES} rates, "
            f"each tried for {self.seconds:g} s)."
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def find_highest_rate(chains: FrameChains, seconds: float) -> HighestRate:
    """Measure the throughput and `N_TRIES` rates below it, for so many seconds each."""
    top_hz = throughput_hz(chains.open, seconds)
    held = highest_held(lambda rate_hz: hold_rate(chains.open, rate_hz, max(2, round(rate_hz * seconds))), top_hz)
    return HighestRate(top_hz, held, seconds)


def highest_held(hold: Callable[[float], RateResult], top_hz: float) -> RateResult | None:
    """Return the highest of `N_TRIES` tried rates that was held, None where none was.

    Rates between half of `top_hz` and a little above it are halved in ratio: the last two differ by about 1 %.
    """
    low_hz, high_hz, best = 0.5 * top_hz, _MARGIN * top_hz, None
    for _ in range(N_TRIES):
        result = hold((low_hz * high_hz) ** 0.5)
        if result.is_held:
            low_hz, best = result.rate_hz, result
        else:
            high_hz = result.rate_hz
    return best
