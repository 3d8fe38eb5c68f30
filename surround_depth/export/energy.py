"""Energy that the CPU used, by the counters that Linux offers for it (powercap, RAPL): Intel and AMD.

Only the packages are summed: their parts ("core", "uncore") are counted in them already. Memory, boards and GPUs are
not. Kernels since 2020 let root alone read the counters; a virtual machine mostly has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_POWERCAP = Path("/sys/class/powercap")
_PACKAGE = re.compile(r"intel-rapl:\d+")  # intel-rapl:0:0 is a part of it, intel-rapl-mmio:0 the same counter again
UJ_PER_J = 1_000_000
NOT_READABLE = "not readable"


@dataclass(frozen=True)
class EnergyMeter:
    """The counters at one moment, and what they have counted since.

    A counter that wraps once is followed; one that wraps twice (a loaded server package after an hour or so) is not.
    """

    begin_uj: Mapping[Path, int]
    """Of each package's folder; empty where none can be read."""

    @classmethod
    def start(cls, powercap: Path = _POWERCAP) -> Self:
        """Return a meter that counts from now on."""
        folders = (folder for folder in sorted(powercap.glob("intel-rapl:*")) if _PACKAGE.fullmatch(folder.name))
        readings = {folder: _read_uj(folder / "energy_uj") for folder in folders}
        known = {folder: reading for folder, reading in readings.items() if reading is not None}
        return cls(known if len(known) == len(readings) else {})  # a part of the packages is no energy of the machine

    def joules(self) -> float | None:
        """Return the energy of all packages since the start; None where it cannot be read."""
        used_uj = [_used_uj(folder, begin_uj) for folder, begin_uj in self.begin_uj.items()]
        if not used_uj or None in used_uj:
            return None
        return sum(one for one in used_uj if one is not None) / UJ_PER_J

    def joules_per_frame(self, n_frames: int) -> float | None:
        """Return the energy since the start, shared by the frames; None where it cannot be read or there are none."""
        joules = self.joules()
        return None if joules is None or n_frames == 0 else joules / n_frames


def energy_text(joules: float | None) -> str:
    """Return joules as text."""
    return NOT_READABLE if joules is None else f"{joules:.2f}"


def _used_uj(folder: Path, begin_uj: int) -> int | None:
    end_uj = _read_uj(folder / "energy_uj")
    if end_uj is None or end_uj >= begin_uj:
        return None if end_uj is None else end_uj - begin_uj
    range_uj = _read_uj(folder / "max_energy_range_uj")
    return None if range_uj is None else end_uj - begin_uj + range_uj


def _read_uj(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
