"""The rendered drives of a study: each set once, recognised when it is asked for again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

from surround_depth.rig import load_rig
from surround_depth.training.config import DataConfig, RenderConfig
from surround_depth.training.rendering import render_missing
from surround_depth.training.rendering_record import require_same_rendering


def set_sha256(entry: RenderConfig) -> str:
    """Return a hash over all that a set is rendered from, the numbers of its rig among them."""
    content = entry.model_dump(mode="json", exclude={"n_workers"})  # the bytes do not depend on it
    return hashlib.sha256(json.dumps([content, _rig_fingerprint(entry.rig)]).encode()).hexdigest()


@cache
def _rig_fingerprint(rig: str) -> str:
    return load_rig(rig).fingerprint


def render_set(root: Path, entry: RenderConfig, on_drive: Callable[[str], object] = lambda name: None) -> None:
    """Render a set into `root`, which appears only when it is whole; nothing is done where it lies there already.

    Args:
        on_drive: told the name of every finished drive.

    Raises:
        ConfigError: another set lies there.
        DataError: what lies there is no set.
        MissingDependencyError: open3d is not installed.
    """
    if root.exists():
        require_same_rendering(DataConfig(root=str(root), render=True, rendering=entry))
    else:
        render_missing(root, entry, on_drive)
