"""Whole trees of rendered drives in one call; the tools write the drives in worker processes and the index last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from surround_depth.data.synthetic.drive_types import RenderedDrive
from surround_depth.data.writers.dgp_tree import write_dgp_drive_files, write_scene_list
from surround_depth.data.writers.nuscenes_tree import write_drive_files, write_tables


def write_nuscenes(root: Path, drives: Iterable[RenderedDrive], version: str = "v1.0-mini") -> None:
    """Write a nuScenes tree."""
    write_tables(root, [write_drive_files(root, drive) for drive in drives], version)


def write_dgp(root: Path, drives: Iterable[RenderedDrive], split: str = "train") -> None:
    """Write a DGP tree whose drives are all in one split."""
    write_scene_list(root, {split: [write_dgp_drive_files(root, drive) for drive in drives]})
