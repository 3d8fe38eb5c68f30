"""What a rendered tree was made from: a note inside it, so that a run cannot train on another tree than it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from surround_depth.errors import ConfigError, DataError
from surround_depth.files import write_atomic
from surround_depth.provenance import source_commit
from surround_depth.training.config import DataConfig, RenderConfig

RECORD_NAME = "rendering.json"
_IRRELEVANT = {"n_workers"}  # the bytes do not depend on it


def write_record(root: Path, config: RenderConfig) -> None:
    """Note in the tree `root` what it was rendered from, and by which commit."""
    record = {"rendering": _content(config), "commit": source_commit()}
    write_atomic(root / RECORD_NAME, (json.dumps(record, indent=1) + "\n").encode())


def read_record(root: Path) -> dict[str, Any] | None:
    """Return the note of a tree, or None: not rendered by a training run, so of unknown origin.

    Raises:
        DataError: the note cannot be read.
    """
    path = root / RECORD_NAME
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); render the tree again") from error
    if not isinstance(record, dict) or not isinstance(record.get("rendering"), dict):
        raise DataError(f"{path}: holds no 'rendering'; render the tree again")
    return record


def require_same_rendering(config: DataConfig) -> None:
    """Check that the tree which this run would have rendered is the one that lies there.

    Raises:
        ConfigError: it was rendered otherwise; names what differs and the way out.
        DataError: as `read_record`.
    """
    record = read_record(Path(config.root)) if config.render else None
    if record is None:
        return
    found, asked = record["rendering"], _content(config.rendering)
    keys = [key for key in sorted(found.keys() | asked.keys()) if found.get(key) != asked.get(key)]
    if keys:
        differences = ", ".join(f"{key} {found.get(key)} instead of {asked.get(key)}" for key in keys)
        raise ConfigError(
            f"{config.root} ({RECORD_NAME}) was rendered otherwise than data.rendering asks: {differences}; "
            "choose another data.root, delete that folder, or set data.render=false to train on it as it is"
        )


def _content(config: RenderConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude=_IRRELEVANT)
