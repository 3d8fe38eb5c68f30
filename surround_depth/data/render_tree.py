"""Render several drives at once into one synthetic tree (nuScenes format, exact dense depth beside it)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from surround_depth.data.synthetic.drive import DriveConfig, render_drive
from surround_depth.data.writers.nuscenes_tree import DriveRecord, write_drive_files, write_tables


def render_tree(
    root: Path,
    configs: Sequence[DriveConfig],
    *,
    workers: int = 1,
    on_drive: Callable[[DriveRecord], object] = lambda record: None,
) -> None:
    """Render and write every drive, in `workers` processes, then the tables of all; a `root` that exists is extended.

    The bytes do not depend on `workers`. `on_drive` is told of every finished drive.

    Raises:
        MissingDependencyError: open3d is not installed.
        DataError: two drives have one name.
    """
    records = []
    for record in _rendered(root, configs, workers):
        records.append(record)
        on_drive(record)
    write_tables(root, records)


def _rendered(root: Path, configs: Sequence[DriveConfig], workers: int) -> Iterator[DriveRecord]:
    render = partial(_render_one, root)
    if workers <= 1 or len(configs) <= 1:
        yield from map(render, configs)
        return
    # spawn: a forked open3d or numba runtime may hang
    with ProcessPoolExecutor(min(workers, len(configs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(render, configs)


def _render_one(root: Path, config: DriveConfig) -> DriveRecord:
    return write_drive_files(root, render_drive(config))
