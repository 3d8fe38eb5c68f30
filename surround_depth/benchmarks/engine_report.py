"""What `deploy/benchmark.py` says of an engine: its stages, the rates it holds, and what it was compared with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from surround_depth.benchmarks.against import Versus, against_table
from surround_depth.benchmarks.highest_rate import HighestRate
from surround_depth.benchmarks.rates import RateResult, rates_table
from surround_depth.export.benchmark import Measurement, markdown_table


@dataclass(frozen=True)
class EngineReport:
    """One engine on one machine in one run."""

    measurement: Measurement
    rates: tuple[RateResult, ...]
    highest: HighestRate | None
    """None where it was not asked for."""
    versus: tuple[Versus, ...]

    def markdown(self) -> str:
        """Return all of it for people."""
        blocks = [markdown_table(self.measurement)]
        held = self.highest.held if self.highest else None
        rates = (*self.rates, *([held] if held else []))
        if rates or self.highest:
            blocks.append(" ".join([_OVERLAPPED, *([self.highest.text()] if self.highest else [])]))
        if rates:
            blocks += [_RATES, rates_table(rates)]
        if self.versus:
            blocks += [_AGAINST, against_table(self.versus)]
        return "\n\n".join(blocks)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return self.measurement.as_json() | {
            "rates": [asdict(rate) | {"dropped_share": rate.dropped_share} for rate in self.rates],
            "highest_rate": self.highest.as_json() if self.highest else None,
            "against": [one.as_json() for one in self.versus],
        }


_OVERLAPPED = (
    "From here on the steps of neighbouring frames overlap, as in the player: prepare, infer and fuse each on a thread "
    "of its own, at most one frame waiting between two."
)
_RATES = (
    "Frames come by the clock and the latest wins: one that is overtaken before the chain is free is dropped. "
    "A result's age counts from the moment its frame came; it missed when the next one had come before it was done. "
    "Jitter is the standard deviation of the time between two results, J the energy of the CPU packages per result, "
    "idle time and other work included, MiB the most memory of the process so far."
)
_AGAINST = (
    "The engines alone, in turns on the same machine, threads and pictures; references have random weights, which cost "
    "what trained ones cost and say nothing about accuracy."
)
