"""How long nuScenes tables take to open, each way in a process of its own."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from surround_depth.benchmarks.index_tables import VERSION, write_large_tables
from surround_depth.benchmarks.report import Report, Table, require_repeats
from surround_depth.errors import ConfigError, DataError
from surround_depth.files import CACHE_VARIABLE

PACKAGES = ("numpy", "nuscenes-devkit")
_DEVKIT_NAME = "nuscenes-devkit"
_TOLD_TABLES = ("scene", "sample", "sample_data", "ego_pose", "sample_annotation")
# A file younger than two seconds is read whole again: not what a user of settled files waits for.
_SETTLING_S = 2.5
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
    runs: int
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


@contextmanager
def work_folder(parent: Path | None) -> Iterator[Path]:
    """Yield a new folder in `parent` (None: where the system keeps temporary files), and remove it with its content.

    Raises:
        DataError: no folder can be made there.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="index-benchmark-", dir=parent)
    except OSError as error:
        raise DataError(f"no folder can be made in {parent} ({error.strerror}); choose another --work") from error
    with folder as name:
        yield Path(name)


def measure_index(
    folder: Path, *, scale: float, repeats: int, with_devkit: bool, report: Callable[[str], object]
) -> IndexBenchmark:
    """Write tables into `folder` and open them every way.

    Raises:
        ConfigError: `scale` is not a number above zero, or `repeats` is below one.
        DataError: a process failed.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ConfigError(f"--scale is {scale}; it is a share of trainval, above zero")
    require_repeats("--repeats", repeats)
    root, cache = folder / "data", folder / "cache"
    report(f"writing tables of {scale:g} x trainval")
    rows = write_large_tables(root, scale)
    ways = [
        ("cold: parse, hash, write the cache", _OPEN, 1),
        ("first after that: compare the cache with its checksums, once", _OPEN, 1),
        ("warm", _OPEN, repeats),
        ("warm, and the first sample", _FIRST_SAMPLE, repeats),
        ("warm, 12 Hz, a scene's samples and boxes", _FIRST_SWEEPS, repeats),
    ]
    if with_devkit and find_spec("nuscenes") is not None:
        ways.append((_DEVKIT_NAME, _DEVKIT, 1))
    measured = []
    for number, (what, body, count) in enumerate(ways):
        report(f"measuring: {what}")
        if number < 2:  # tables or the cache are just written
            time.sleep(_SETTLING_S)
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
    return Measured(what, len(runs), *(statistics.median(values) for values in zip(*runs, strict=True)))


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def index_report(result: IndexBenchmark) -> Report:
    """Return the result in words; ratios are to the devkit where it was measured, else to the cold build."""
    base = next((m for m in result.measured if m.what == _DEVKIT_NAME), result.measured[0])
    sizes = ", ".join(f"{result.rows[name]:,} of {name}" for name in _TOLD_TABLES)
    table = Table(
        ("opening", "runs", "call, s", "process, s", "its CPU, s", "peak RSS, MB", "call, ratio", "RSS, ratio"),
        tuple(
            (
                m.what,
                str(m.runs),
                f"{m.open_s:.3f}",
                f"{m.process_s:.2f}",
                f"{m.cpu_s:.2f}",
                f"{m.peak_mb:.0f}",
                f"{m.open_s / base.open_s:.2g}",
                f"{m.peak_mb / base.peak_mb:.2g}",
            )
            for m in result.measured
        ),
    )
    made_of = (
        "Tables of random numbers with the counts, fields and layout of nuScenes v1.0-trainval, times "
        f"{result.scale:g}; rows: {sizes}. {result.table_mb:.0f} MB of JSON, {result.cache_mb:.0f} MB of cache."
    )
    meaning = (
        "Each run is a fresh process with the files in the page cache, and the figures are medians over the runs. The "
        "call is wall time of the opening alone; the process is all of it, interpreter and imports included, and its "
        f"CPU time is what remains of that where other work shares the cores. Ratios are to: {base.what}."
    )
    return Report("index", "Opening nuScenes tables", (made_of, table, meaning), asdict(result))
