"""Change what a nuScenes tree of one scene, "scene-0001", says, and read its first sample."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.sample import Sample

VERSION = "v1.0-mini"


def edit(tree: Path, table: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change the rows of a table in place, or into what `change` returns."""
    path = tree / VERSION / f"{table}.json"
    rows = json.loads(path.read_text())
    changed = change(rows)
    path.write_text(json.dumps(rows if changed is None else changed))


def first(tree: Path) -> Sample:
    """Return the first sample."""
    return NuScenesDataset(tree).sequence("scene-0001")[0]
