"""Change what a DGP tree of one scene, "000150", says, and read its first sample."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surround_depth.data.ddad import DdadDataset
from surround_depth.data.sample import Sample

SCENE = "000150"
Change = Callable[[dict[str, Any]], object]


def edit(tree: Path, pattern: str, change: Change) -> None:
    """Change the content of the JSON file that `pattern` finds."""
    path = next(tree.glob(pattern))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_scene(tree: Path, change: Change) -> None:
    """Change the scene file."""
    edit(tree, f"{SCENE}/scene_*.json", change)


def first(tree: Path, **options: Any) -> Sample:
    """Return the first sample."""
    return DdadDataset(tree, **options).sequence(SCENE)[0]
