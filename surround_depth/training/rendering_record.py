"""What a rendered tree was made from: a note inside it, so that a run cannot train on another tree than it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from surround_depth.errors import ConfigError, DataError
from surround_depth.files import write_atomic
from surround_depth.provenance import source_commit
from surround_depth.rig import load_rig
from surround_depth.training.config import DataConfig, DataSetConfig, RenderConfig

RECORD_NAME = "rendering.json"
_IRRELEVANT = {"n_workers"}  # the bytes do not depend on it
_FIRST_RIG = "nuscenes"  # of trees whose record is older than the key `rig`


def write_record(root: Path, config: RenderConfig) -> None:
    """Note in the tree `root` what it was rendered from, and by which commit."""
    record = {"rendering": _content(config), "commit": source_commit()}
    write_atomic(root / RECORD_NAME, (json.dumps(record, indent=1) + "\n").encode())


def read_record(root: Path) -> dict[str, Any] | None:
    """Return the note of a tree, or None: not rendered by a training run, so of unknown origin.

    Raises:
        DataError: the note cannot be read.
    """
    path = root.expanduser() / RECORD_NAME
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
    """Check that every tree which this run would have rendered is the one that lies there.

    Raises:
        ConfigError: one was rendered otherwise; names what differs and the way out.
        CalibrationError: there is no such rig.
        DataError: as `read_record`.
    """
    for key, one in config.sets().items():
        record = read_record(Path(one.root)) if one.render else None
        if record is not None:
            _require_same(key, one, record["rendering"])


def _require_same(key: str, config: DataSetConfig, recorded: dict[str, Any]) -> None:
    found, asked = {"rig": _identity(_FIRST_RIG)} | recorded, _content(config.rendering)
    names = [name for name in sorted(found.keys() | asked.keys()) if found.get(name) != asked.get(name)]
    if names:
        differences = ", ".join(f"{name} {found.get(name)} instead of {asked.get(name)}" for name in names)
        raise ConfigError(
            f"{config.root} ({RECORD_NAME}) was rendered otherwise than {key}.rendering asks: {differences}; "
            f"choose another {key}.root, delete that folder, or set {key}.render=false to train on it as it is"
        )


def _content(config: RenderConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude=_IRRELEVANT) | {"rig": _identity(config.rig)}


def _identity(rig: str) -> str:
    """Return a rig's own name and what tells it from another of that name, wherever its file lies."""
    loaded = load_rig(rig)
    return f"{loaded.name} {loaded.fingerprint[:12]}"
