"""The rendered drives of a study: each set once, recognised when it is asked for again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surround_depth.data.render_tree import nuscenes_format, render_tree
from surround_depth.data.synthetic.drive import DriveConfig
from surround_depth.errors import ConfigError, DataError
from surround_depth.files import write_json
from surround_depth.imaging import InputSpec, plan_images
from surround_depth.rig import load_rig
from surround_depth.studies.config import StudySet

RECORD_NAME = "set.json"
_IRRELEVANT = {"n_workers"}  # the bytes do not depend on it


def set_sha256(entry: StudySet) -> str:
    """Return a hash over all that a set is rendered from, the numbers of its rig among them."""
    return hashlib.sha256(json.dumps(_content(entry), sort_keys=True).encode()).hexdigest()


def render_set(root: Path, entry: StudySet, on_drive: Callable[[str], object] = lambda name: None) -> None:
    """Render a set into `root`, which appears only when it is whole; nothing is done where it lies there already.

    Args:
        on_drive: told the name of every finished drive.

    Raises:
        ConfigError: another set lies there.
        DataError: what lies there is no set.
        MissingDependencyError: open3d is not installed.
    """
    if root.exists():
        _require_same(root, entry)
        return
    spec = InputSpec(height_px=entry.height_px, width_px=entry.width_px)
    rig = plan_images(load_rig(entry.rig), spec).network_rig
    seeds = range(entry.first_seed, entry.first_seed + entry.n_drives)
    drives = [DriveConfig(seed, rig, entry.n_samples, frame_interval_s=entry.interval_s) for seed in seeds]
    unfinished = root.with_name(f".{root.name}.rendering")
    shutil.rmtree(unfinished, ignore_errors=True)
    render_tree(
        unfinished,
        drives,
        nuscenes_format(),
        workers=entry.n_workers,
        on_drive=lambda record: on_drive(record.name),
    )
    write_json(unfinished / RECORD_NAME, _content(entry))
    unfinished.rename(root)


def _content(entry: StudySet) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude=_IRRELEVANT) | {"rig_sha256": load_rig(entry.rig).fingerprint}


def _require_same(root: Path, entry: StudySet) -> None:
    path = root / RECORD_NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); delete {root}, it is rendered again") from error
    asked = _content(entry)
    keys = [key for key in asked if not isinstance(found, dict) or found.get(key) != asked[key]]
    if keys:
        raise ConfigError(
            f"{root} was rendered with other {', '.join(keys)} than the study asks for; delete it, it is rendered "
            "again, or give the study another --out"
        )
