"""Lists of what to train or score on, with the hash that a result carries: same hash, same list.

A split file is text, one item a line; blank lines and lines that begin with # are skipped. Its items are scene names,
nuScenes sample tokens, or `SCENE TIMESTAMP` lines as the lists of DDAD have them, which may repeat.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from surround_depth.data.paths import reason_of
from surround_depth.errors import DataError

SplitKind = Literal["scenes", "samples", "frames"]

SHIPPED_SPLITS = Path(__file__).parent.parent / "splits"
_TOKEN = re.compile(r"[0-9a-f]{32}")
_MAX_BYTES = 64 << 20
_SHOWN_CHARS = 120


@dataclass(frozen=True)
class Split:
    """A list by name. Two files with the same items have the same hash, whatever their comments."""

    name: str
    kind: SplitKind  # "scenes": names; "samples": sample tokens; "frames": "SCENE TIMESTAMP"
    items: tuple[str, ...]  # in order of the file, repetitions kept
    sha256: str  # of the items, each with a newline behind it


def shipped_splits() -> tuple[str, ...]:
    """Names of the lists that come with the package: the official scene lists of nuScenes."""
    return tuple(sorted(path.stem for path in SHIPPED_SPLITS.glob("*.txt")))


def read_split(name_or_path: str | Path) -> Split:
    """Return a shipped list by its name, e.g. "val", or the list in a file.

    Raises:
        DataError: neither a name nor a file, no text, no item, or items of different kinds.
    """
    shipped = SHIPPED_SPLITS / f"{name_or_path}.txt"
    is_name = str(name_or_path) in shipped_splits()
    try:
        path = shipped if is_name else Path(name_or_path).expanduser()
        is_file = path.is_file()
    except (OSError, RuntimeError) as error:  # a name too long for the disk, no permission; no such user
        text = f"split {str(name_or_path)[:_SHOWN_CHARS]!r} cannot be looked up ({reason_of(error)})"
        raise DataError(f"{text}; give a file, or one of {', '.join(shipped_splits())}") from error
    if not is_file:
        raise DataError(f"split {str(name_or_path)!r} is neither a file nor one of {', '.join(shipped_splits())}")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"split {path} has more than {_MAX_BYTES >> 20} MiB; is it a list, one item a line?")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"split {path} cannot be read as UTF-8 text ({error}); give one item a line") from error
    items = tuple(" ".join(line.split()) for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not items:
        raise DataError(f"split {path} lists nothing; give one scene name, sample token or 'SCENE TIMESTAMP' a line")
    kinds = {_kind_of(item) for item in items}
    if len(kinds) > 1:
        raise DataError(f"split {path} mixes {' and '.join(sorted(kinds))}; give items of one kind")
    sha256 = hashlib.sha256("".join(f"{item}\n" for item in items).encode()).hexdigest()
    return Split(path.stem, kinds.pop(), items, sha256)


def _kind_of(item: str) -> SplitKind:
    if _TOKEN.fullmatch(item):
        return "samples"
    return "frames" if " " in item else "scenes"
