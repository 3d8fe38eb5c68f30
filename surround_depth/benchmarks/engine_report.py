"""What `deploy/benchmark.py` says of an engine: its stages, the rates it holds, and what it was compared with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from surround_depth.benchmarks.against import Versus, against_table
from surround_depth.benchmarks.rates import MAX_DROPPED_SHARE, RateResult, highest_rate_hz, rates_table
from surround_depth.export.benchmark import Measurement, markdown_table


@dataclass(frozen=True)
class EngineReport:
    """One engine on one machine in one run."""

    measurement: Measurement
    rates: tuple[RateResult, ...]
    versus: tuple[Versus, ...]

    @property
    def highest_rate_hz(self) -> float:
        """The highest rate that the whole chain holds, by the durations of its runs."""
        return highest_rate_hz(self.measurement.whole_ms)

    def markdown(self) -> str:
        """Return all of it for people."""
        blocks = [markdown_table(self.measurement), self._rates_text()]
        if self.rates:
            blocks.append(rates_table(self.rates))
        if self.versus:
            blocks += [_AGAINST, against_table(self.versus)]
        return "\n\n".join(blocks)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return self.measurement.as_json() | {
            "highest_rate_hz": self.highest_rate_hz,
            "rates": [asdict(rate) | {"dropped_share": rate.dropped_share} for rate in self.rates],
            "against": [one.as_json() for one in self.versus],
        }

    def _rates_text(self) -> str:
        return (
            f"The whole chain, one frame after another, holds {self.highest_rate_hz:.3g} Hz with less than "
            f"{MAX_DROPPED_SHARE:.0%} of the frames dropped: the durations of its runs, played through the rule that "
            "the latest frame wins. A result's age counts from the moment its frame came; it missed when the next one "
            "had come before it was done. Jitter is the standard deviation of the time between two results."
        )


_AGAINST = (
    "The engines alone, in turns on the same machine, threads and pictures; references have random weights, which cost "
    "what trained ones cost and say nothing about accuracy."
)
