"""Render several drives at once into one synthetic tree (nuScenes format, exact dense depth beside it)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from surround_depth.data.synthetic.drive import DriveConfig, render_drive
from surround_depth.data.writers.files import require_new_tree
from surround_depth.data.writers.nuscenes_tree import DriveRecord, write_drive_files, write_tables
from surround_depth.errors import DataError


def render_tree(
    root: Path,
    configs: Sequence[DriveConfig],
    *,
    workers: int = 1,
    on_drive: Callable[[DriveRecord], object] = lambda record: None,
) -> None:
    """Render and write every drive, in `workers` processes, then the tables of all.

    The bytes do not depend on `workers`. `on_drive` is told of every finished drive. After a crash the same call may be
    repeated: a tree without tables is not finished, and its files are written anew.

    Raises:
        MissingDependencyError: open3d is not installed.
        DataError: `root` already holds a finished tree, or two drives have one name; nothing is rendered then.
    """
    require_new_tree(root)
    names = [config.name for config in configs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{root}: {', '.join(repeated)} would be rendered twice; give every drive its own seed")
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
