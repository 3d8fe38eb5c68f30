"""The index of a nuScenes version, parsed once and kept in the user's cache (`surround_depth.files.cache_folder`).

An index file is named by the SHA-256 of the tables it was made from. A small record per version folder remembers the
tables' sizes and times, so that the tables are not hashed at each start. Both files appear by renaming: two processes
that build at once write the same bytes twice, and a reader sees one or the other.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from surround_depth.data.nuscenes_index import FORMAT, NuScenesIndex
from surround_depth.data.nuscenes_parse import build_index
from surround_depth.errors import DataError
from surround_depth.files import cache_folder, write_atomic

_FOLDER = "nuscenes"
# A file may change again within one tick of its clock without a new time: younger times prove nothing.
_SETTLED_NS = 2 * 10**9

Stamps = dict[str, list[int]]  # by table: size in bytes, time of the last change in ns


@dataclass(frozen=True)
class _Record:
    """What was known of a version folder when its tables were last hashed."""

    stamps: Stamps
    key: str  # of the index file
    looked_ns: int  # when these stamps were read, before the hash

    def vouches_for(self, stamps: Stamps) -> bool:
        """True where the tables are those that were hashed."""
        latest_ns = max(mtime_ns for _, mtime_ns in stamps.values())
        return self.stamps == stamps and latest_ns < self.looked_ns - _SETTLED_NS


def open_index(files: Mapping[str, Path]) -> NuScenesIndex:
    """Return the index of the tables in `files`, from the cache where it has them, else parsed and put there.

    Where the cache cannot be written the index stays in memory. A damaged cache is made again.

    Raises:
        DataError: a table cannot be read, or is not a JSON list of objects.
    """
    looked_ns, stamps = time.time_ns(), _stamps(files)
    folder = _cache_folder()
    if folder is None:
        return build_index(files)
    identity = "\n".join(f"{name} {path}" for name, path in sorted(files.items()))
    record_path = folder / f"{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
    record = _read_record(record_path)
    is_known = record is not None and record.vouches_for(stamps)
    key = record.key if record is not None and is_known else _key_of(files)
    index = _load(folder / f"{key}.index")
    if index is None:
        index = build_index(files)
        if _stamps(files) != stamps:
            return index  # written to meanwhile: the hash may be of other content than the rows
        index = _saved(index, folder / f"{key}.index")
    if not is_known:
        _write_record(record_path, _Record(stamps, key, looked_ns))
        if record is not None and record.key != key:
            with suppress(OSError):
                (folder / f"{record.key}.index").unlink(missing_ok=True)
    return index


def _cache_folder() -> Path | None:
    try:
        return cache_folder() / _FOLDER
    except RuntimeError:  # a user without a home
        return None


def _stamps(files: Mapping[str, Path]) -> Stamps:
    try:
        return {
            name: [status.st_size, status.st_mtime_ns] for name, status in ((n, p.stat()) for n, p in files.items())
        }
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); download or copy it again") from error


def _key_of(files: Mapping[str, Path]) -> str:
    """Return the name of the index of these tables: a hash of their contents and of the index format."""
    digests = {}
    for name, path in sorted(files.items()):
        try:
            with path.open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); download or copy it again") from error
    return hashlib.sha256(json.dumps([FORMAT, digests]).encode()).hexdigest()


def _load(path: Path) -> NuScenesIndex | None:
    try:
        return NuScenesIndex.load(path)
    except DataError:
        return None


def _saved(index: NuScenesIndex, path: Path) -> NuScenesIndex:
    """Write the index and return it mapped; the one in memory where there is no room for it."""
    try:
        index.save(path)
    except DataError:
        return index
    return _load(path) or index


def _read_record(path: Path) -> _Record | None:
    try:
        content = json.loads(path.read_bytes())
        key = str(content["key"])
        stamps = {str(name): [int(size), int(mtime_ns)] for name, (size, mtime_ns) in content["stamps"].items()}
        looked_ns = int(content["looked_ns"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    # The key becomes a file name.
    return _Record(stamps, key, looked_ns) if len(key) == 64 and key.isalnum() else None


def _write_record(path: Path, record: _Record) -> None:
    content = {"key": record.key, "stamps": record.stamps, "looked_ns": record.looked_ns}
    with suppress(DataError):  # nothing is lost: the tables are hashed again next time
        write_atomic(path, json.dumps(content).encode())
