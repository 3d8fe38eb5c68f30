"""Files and folders that appear whole or not at all: written beside their place first, then renamed into it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from surround_depth.errors import DataError

CACHE_VARIABLE = "SURROUND_DEPTH_CACHE"
TEMPORARY_SUFFIX = ".tmp"  # of what `atomic_file` writes; a process that is killed leaves it behind
_DIRECTORY_MODE = 0o755


def cache_folder() -> Path:
    """Return where things that can be made again are kept; it need not exist, nor be writable.

    `$SURROUND_DEPTH_CACHE`, else `surround_depth` in `$XDG_CACHE_HOME`, else in `~/.cache`.
    """
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "surround_depth"


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file through a temporary neighbour, making its folder; a reader sees all of it or none.

    Raises:
        DataError: the folder cannot be made or the disk is full.
    """
    with atomic_file(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON; a number that does not exist (an error over no pixels) is null.

    Raises:
        DataError: the folder cannot be made or the disk is full.
    """
    write_atomic(path, (json.dumps(without_nan(value), indent=2, allow_nan=False) + "\n").encode())


def without_nan(value: Any) -> Any:
    """Return plain values with None for every number that is NaN or infinite: JSON has neither."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that replaces `path` when the body succeeds, and disappears when it does not.

    Who has the old file open or mapped keeps the old content.

    Raises:
        DataError: the folder cannot be made or the disk is full. Other errors of the body pass unchanged.
    """
    # A name of its own for every writer: two threads, or two machines on one disk, may have the same process id.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise DataError(_unwritable(path, error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` when the body succeeds, and disappears when it does not.

    A reader sees the old folder or the new one, or for an instant none; never half of one. The files are on the disk
    before the rename, so that a power cut does not leave a folder of empty files, and so is the rename on return.

    Raises:
        DataError: the folder above `path` cannot be written. What the body raises passes unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))  # same disk: the last step renames
    except OSError as error:
        raise DataError(_unwritable(path, error)) from error
    try:
        fresh = scratch / "new"
        fresh.mkdir()
        fresh.chmod(_DIRECTORY_MODE)  # whatever the umask says: a vehicle's process may be another user
        yield fresh
        _flush(fresh)
        _swap(fresh, path, scratch / "old")
        _flush_names(
            path.parent
        )  # or a power cut could bring back the old one, and who relied on the new has cleaned up
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def clear_leftovers(folder: Path, *names: str) -> None:
    """Delete what a killed process was just writing beside `names` (patterns) in `folder`; no living one may write."""
    for scratch in [path for name in names for path in folder.glob(f".{name}.*")]:
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            scratch.unlink(missing_ok=True)


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in (*folder.rglob("*/"), folder):
        _flush_names(path)


def _flush_names(folder: Path) -> None:
    """Have the names in a folder on the disk, where its file system can be asked for that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _swap(fresh: Path, path: Path, retired: Path) -> None:
    """Rename `fresh` to `path`; a full folder cannot be renamed over, so the old one steps aside first."""
    try:
        if path.is_dir():
            path.rename(retired)
        fresh.rename(path)
    except OSError as error:
        if retired.is_dir() and not path.exists():
            retired.rename(path)
        raise DataError(_unwritable(path, error)) from error


def _unwritable(path: Path, error: OSError) -> str:
    return f"{path} cannot be written ({error.strerror}); check the folder and the room on the disk"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
