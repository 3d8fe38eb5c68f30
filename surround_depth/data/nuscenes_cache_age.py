"""What the cache of nuScenes indexes forgets: what nobody opened for a month, and what a killed process left.

Nothing else removes an index: two roots with the same tables share one, and a change of one root is no news of the
other. A record is touched when it is used, and an index stays as long as a record names it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from surround_depth.files import TEMPORARY_SUFFIX

_DAY_S = 24 * 3600.0
_FORGOTTEN_S = 30 * _DAY_S
_LEFT_BEHIND_S = _DAY_S


def keep_young(record: Path) -> None:
    """Touch a record that is in use, once a day: nothing is written at most starts."""
    with suppress(OSError):
        if _age_s(record) > _DAY_S:
            os.utime(record)


def remove_old(folder: Path) -> None:
    """Remove records that nobody used for a month, month-old indexes that no record names, and old temporary files.

    What cannot be listed or removed stays.
    """
    with suppress(OSError):
        files = list(folder.iterdir())
        _remove((path for path in files if path.suffix == TEMPORARY_SUFFIX), _LEFT_BEHIND_S)
        _remove((path for path in files if path.suffix == ".json"), _FORGOTTEN_S)
        named = set(_named_by(folder.glob("*.json")))
        _remove((path for path in files if path.suffix == ".index" and path.stem not in named), _FORGOTTEN_S)


def _named_by(records: Iterator[Path]) -> Iterator[str]:
    for path in records:
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            yield str(json.loads(path.read_bytes())["key"])


def _remove(paths: Iterator[Path], older_than_s: float) -> None:
    for path in paths:
        with suppress(OSError):
            if _age_s(path) > older_than_s:
                path.unlink()


def _age_s(path: Path) -> float:
    return time.time() - path.lstat().st_mtime
