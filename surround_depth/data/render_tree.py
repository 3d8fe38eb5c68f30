"""Render several drives at once into one synthetic tree, nuScenes or DGP format, exact dense depth beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, TypeVar

from surround_depth.data.synthetic.drive import DriveConfig, render_drive
from surround_depth.data.synthetic.drive_types import RenderedDrive
from surround_depth.data.writers import dgp_tree, nuscenes_tree
from surround_depth.data.writers.files import require_new_tree
from surround_depth.errors import DataError

Record = TypeVar("Record")


@dataclass(frozen=True)
class TreeFormat(Generic[Record]):
    """How a tree is written: the files of one drive (in any process), then one index of all drives."""

    write_drive: Callable[[Path, RenderedDrive], Record]
    write_index: Callable[[Path, Sequence[Record]], None]


def nuscenes_format(version: str = "v1.0-mini") -> TreeFormat[nuscenes_tree.DriveRecord]:
    """Return the nuScenes format with its tables in the folder `version`."""
    return TreeFormat(
        nuscenes_tree.write_drive_files, lambda root, records: nuscenes_tree.write_tables(root, records, version)
    )


def dgp_format(split: str = "train") -> TreeFormat[dgp_tree.SceneRecord]:
    """Return the DGP format (as DDAD's) with all drives in one split."""
    return TreeFormat(
        dgp_tree.write_dgp_drive_files, lambda root, records: dgp_tree.write_scene_list(root, {split: records})
    )


def render_tree(
    root: Path,
    configs: Sequence[DriveConfig],
    form: TreeFormat[Record],
    *,
    workers: int = 1,
    on_drive: Callable[[Record], object] = lambda record: None,
) -> None:
    """Render and write every drive, in `workers` processes, then the index of all.

    The bytes do not depend on `workers`. `on_drive` is told of every finished drive. After a crash the same call may be
    repeated: a tree without an index is not finished, and its files are written anew.

    Raises:
        MissingDependencyError: open3d is not installed.
        DataError: `root` already holds a finished tree, or two drives have one name; nothing is rendered then.
    """
    require_new_tree(root)
    names = [config.name for config in configs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{root}: {', '.join(repeated)} would be rendered twice; give every drive its own seed")
    records = []
    for record in _rendered(root, configs, form, workers):
        records.append(record)
        on_drive(record)
    form.write_index(root, records)


def _rendered(root: Path, configs: Sequence[DriveConfig], form: TreeFormat[Record], workers: int) -> Iterator[Record]:
    render = partial(_render_one, root, form.write_drive)
    if workers <= 1 or len(configs) <= 1:
        yield from map(render, configs)
        return
    # spawn: a forked open3d or numba runtime may hang
    with ProcessPoolExecutor(min(workers, len(configs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(render, configs)


def _render_one(root: Path, write_drive: Callable[[Path, RenderedDrive], Record], config: DriveConfig) -> Record:
    return write_drive(root, render_drive(config))
