"""How many CPU cores this process really has."""

from __future__ import annotations

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")


def allowed_cpus() -> set[int]:
    """Return the logical CPUs the scheduler lets this process run on."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def physical_cores(topology: Path = _TOPOLOGY) -> int:
    """Return the number of physical cores this process may use, at least 1.

    Two hyper-threads of one core share its vector units, so a second thread there slows a matrix product down; Linux
    names the siblings, elsewhere every logical CPU counts as a core. A container's CPU quota caps the answer.
    """
    cores = set()
    for cpu in allowed_cpus():
        siblings = topology / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        cores.add(siblings.read_text().strip() if siblings.is_file() else str(cpu))
    return max(1, min(len(cores), _quota_cores()))


def _quota_cores(cgroup_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    try:
        quota, period = cgroup_file.read_text().split()
        return max(1, int(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup v2, or "max": no quota
        return os.cpu_count() or 1
