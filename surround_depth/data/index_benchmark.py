"""How long nuScenes tables take to open, each way in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from surround_depth.data.large_tables import VERSION, write_large_tables
from surround_depth.errors import ConfigError, DataError
from surround_depth.files import CACHE_VARIABLE, write_atomic
from surround_depth.provenance import command_line, package_versions, source_commit

# Each is the body of a process: what is timed starts after the imports that any use needs.
_OPEN = """
from surround_depth.data.nuscenes import NuScenesDataset
begin = time.perf_counter()
dataset = NuScenesDataset(root)
"""
_FIRST_SAMPLE = _OPEN + "dataset.sequence(dataset.scenes()[0])[0]\n"
_FIRST_SWEEPS = """
from surround_depth.data.nuscenes import NuScenesDataset
begin = time.perf_counter()
dataset = NuScenesDataset(root, rate="sweeps")
sequence = dataset.sequence(dataset.scenes()[0])
len(sequence), sequence.boxes(0)
"""
_DEVKIT = """
import os
os.environ["MPLBACKEND"] = "Agg"
from nuscenes.nuscenes import NuScenes
begin = time.perf_counter()
NuScenes(version=version, dataroot=root, verbose=False)
"""
_FRAME = """
import json, resource, sys, time
root, version = sys.argv[1:]
{body}
seconds = time.perf_counter() - begin
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


@dataclass(frozen=True)
class Measured:
    """One way of opening: medians over its runs."""

    what: str
    open_s: float  # the call alone, wall time
    process_s: float  # interpreter, imports, call, exit, wall time
    cpu_s: float  # of the whole process: what is left of the wall time where other work shares the cores
    peak_mb: float  # of the process, mapped pages that were touched included


@dataclass(frozen=True)
class IndexBenchmark:
    """All ways over the same tables."""

    scale: float
    rows: dict[str, int]
    table_mb: float
    cache_mb: float
    measured: tuple[Measured, ...]


def measure_index(
    folder: Path, *, scale: float, repeats: int, with_devkit: bool, report: Callable[[str], object]
) -> IndexBenchmark:
    """Write tables into `folder` and open them every way.

    Raises:
        ConfigError: `scale` or `repeats` is not above zero.
        DataError: a process failed.
    """
    if scale <= 0 or repeats <= 0:
        raise ConfigError(f"scale and repeats must be above zero, got {scale} and {repeats}")
    root, cache = folder / "data", folder / "cache"
    report(f"writing tables of {scale:g} x trainval")
    rows = write_large_tables(root, scale)
    ways = [
        ("cold: parse, hash, write the cache", _OPEN, 1),
        ("warm", _OPEN, repeats),
        ("warm, and the first sample", _FIRST_SAMPLE, repeats),
        ("warm, 12 Hz, a scene's samples and boxes", _FIRST_SWEEPS, repeats),
    ]
    if with_devkit and find_spec("nuscenes") is not None:
        ways.append(("nuscenes-devkit", _DEVKIT, 1))
    # A table younger than two seconds is hashed again: not what a user of settled files waits for.
    time.sleep(2.5)
    measured = []
    for what, body, count in ways:
        report(f"measuring: {what}")
        measured.append(_median(what, [_run(body, root, cache) for _ in range(count)]))
    return IndexBenchmark(scale, rows, _megabytes(root / VERSION), _megabytes(cache), tuple(measured))


def _run(body: str, root: Path, cache: Path) -> tuple[float, float, float, float]:
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _FRAME.format(body=body), str(root), VERSION],
        env=os.environ | {CACHE_VARIABLE: str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    process_s = time.perf_counter() - begin
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}; is there memory enough?"]
        raise DataError(f"a measured process failed: {reason[0]}")
    open_s, cpu_s, peak_mb = json.loads(done.stdout.splitlines()[-1])
    return open_s, process_s, cpu_s, peak_mb


def _median(what: str, runs: list[tuple[float, float, float, float]]) -> Measured:
    return Measured(what, *(statistics.median(values) for values in zip(*runs, strict=True)))


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def write_report(result: IndexBenchmark, out: Path) -> str:
    """Write `index.json` and `index.md` into `out`; return the Markdown.

    Raises:
        DataError: `out` cannot be written.
    """
    provenance: dict[str, Any] = {
        "command": command_line(),
        "commit": source_commit(),
        "versions": package_versions(("numpy", "nuscenes-devkit")),
    }
    text = as_markdown(result)
    write_atomic(out / "index.json", (json.dumps(asdict(result) | provenance, indent=1) + "\n").encode())
    write_atomic(out / "index.md", text.encode())
    return text


def as_markdown(result: IndexBenchmark) -> str:
    """Return the table; ratios are to the last row where that is the devkit, else to the cold build."""
    base = next((m for m in result.measured if m.what == "nuscenes-devkit"), result.measured[0])
    sizes = ", ".join(f"{result.rows[name]:,} {name}" for name in ("scene", "sample", "sample_data", "ego_pose"))
    lines = [
        f"{sizes}, {result.rows['sample_annotation']:,} sample_annotation rows: tables {result.table_mb:.0f} MB, "
        f"cache {result.cache_mb:.0f} MB. Each figure is of a fresh process; tables in the page cache.",
        "",
        f"| opening | call, s | process, s | its CPU, s | peak RSS, MB | call, to {base.what.split(':')[0]} | RSS |",
        "|---|---|---|---|---|---|---|",
    ]
    for m in result.measured:
        ratios = f"{m.open_s / base.open_s:.2g} | {m.peak_mb / base.peak_mb:.2g}"
        lines.append(f"| {m.what} | {m.open_s:.2f} | {m.process_s:.2f} | {m.cpu_s:.2f} | {m.peak_mb:.0f} | {ratios} |")
    return "\n".join(lines) + "\n"
