"""Rendering the synthetic tree that a run asks for, when it is not there yet."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from surround_depth.data.render_tree import nuscenes_format, render_tree
from surround_depth.data.synthetic.drive import DriveConfig
from surround_depth.imaging import InputSpec, plan_images
from surround_depth.rig import load_rig
from surround_depth.training.config import DataConfig, DataSetConfig, RenderConfig
from surround_depth.training.rendering_record import write_record


def missing_trees(config: DataConfig) -> tuple[DataSetConfig, ...]:
    """Return the data sets of a run that ask to be rendered and are not there yet."""
    missing = [one for one in config.sets().values() if one.render and not Path(one.root).expanduser().exists()]
    return tuple({one.root: one for one in missing}.values())  # two sets may share a tree


def render_missing(root: Path, config: RenderConfig, on_drive: Callable[[str], object]) -> None:
    """Render the drives of `config` into `root`, which appears only when it is whole.

    Args:
        on_drive: told the name of every finished drive.

    Raises:
        MissingDependencyError: open3d is not installed.
        CalibrationError: there is no such rig.
    """
    spec = InputSpec(height_px=config.height_px, width_px=config.width_px)
    rig = plan_images(load_rig(config.rig), spec).network_rig
    seeds = range(config.first_seed, config.first_seed + config.n_drives)
    drives = [DriveConfig(seed, rig, config.n_samples, frame_interval_s=config.interval_s) for seed in seeds]
    root = root.expanduser()
    unfinished = root.with_name(f".{root.name}.rendering")
    shutil.rmtree(unfinished, ignore_errors=True)
    render_tree(
        unfinished,
        drives,
        nuscenes_format(),
        workers=config.n_workers,
        on_drive=lambda record: on_drive(record.name),
    )
    write_record(unfinished, config)
    unfinished.rename(root)
