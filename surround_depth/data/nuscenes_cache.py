"""The index of a nuScenes version, parsed once and kept in the user's cache (`surround_depth.files.cache_folder`).

An index file is named by the SHA-256 of the tables it was made from. A small record per version folder remembers what
the file system said of the tables, so that they are not hashed at each start, and of the index, so that its half a
gigabyte is compared with its checksums once and not at each start: a later flip of a bit that the disk does not notice
goes unseen. Both files appear by renaming: two processes that build at once write the same bytes twice, and a reader
sees one or the other.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from surround_depth.data.nuscenes_cache_age import keep_young, remove_old
from surround_depth.data.nuscenes_index import FORMAT, NuScenesIndex
from surround_depth.data.nuscenes_parse import build_index
from surround_depth.data.tables_hash import table_digests
from surround_depth.errors import DataError
from surround_depth.files import cache_folder, write_atomic

_FOLDER = "nuscenes"
# A file may change again within one tick of its clock without a new time: younger times prove nothing.
_SETTLED_NS = 2 * 10**9

Stamp = list[int]
"""Of a file: size in bytes, time of the last change of its content and of anything about it in ns, inode. A copy that
keeps size and time, as of rsync or an image layer, has another of the last two."""


@dataclass(frozen=True)
class _Record:
    """What was known of a version folder when its tables were hashed, and of its index when it was checked."""

    key: str  # of the index file
    tables: dict[str, Stamp]
    hashed_ns: int  # when these stamps were read, before the hash
    index: Stamp
    checked_ns: int  # when this stamp was read, before the checksums

    def knows_tables(self, stamps: dict[str, Stamp]) -> bool:
        """True where the tables are those that were hashed."""
        return self.tables == stamps and all(_is_settled(stamp, self.hashed_ns) for stamp in stamps.values())

    def knows_index(self, stamp: Stamp | None) -> bool:
        """True where the index file is the one that was checked."""
        return stamp is not None and self.index == stamp and _is_settled(stamp, self.checked_ns)


def open_index(files: Mapping[str, Path]) -> NuScenesIndex:
    """Return the index of the tables in `files`, from the cache where it has them, else parsed and put there.

    Where the cache cannot be written the index stays in memory. A damaged cache is made again.

    Raises:
        DataError: a table cannot be read, or is not a JSON list of objects.
    """
    looked_ns, tables = time.time_ns(), _stamps(files)
    folder = _cache_folder()
    if folder is None:
        return build_index(files)
    # Versions of this package with other formats keep records of their own beside each other.
    identity = "\n".join([f"format {FORMAT}", *(f"{name} {path}" for name, path in sorted(files.items()))])
    record_path = folder / f"{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
    record = _read_record(record_path)
    is_known = record is not None and record.knows_tables(tables)
    key = record.key if record is not None and is_known else _key_of(files)
    path = folder / f"{key}.index"
    checked_ns, stamp = time.time_ns(), _stamp(path)
    is_checked = record is not None and is_known and record.knows_index(stamp)
    index = _load(path, checked=is_checked)
    if index is None:
        is_checked = False
        index = build_index(files)
        if _stamps(files) != tables:
            return index  # written to meanwhile: the hash may be of other content than the rows
        index = _saved(index, path)
        checked_ns, stamp = time.time_ns(), _stamp(path)
        remove_old(folder)
    if is_checked:
        keep_young(record_path)
    elif stamp is not None:
        hashed_ns = record.hashed_ns if record is not None and is_known else looked_ns
        _write_record(record_path, _Record(key, tables, hashed_ns, stamp, checked_ns))
    return index


def _cache_folder() -> Path | None:
    try:
        return cache_folder() / _FOLDER
    except RuntimeError:  # a user without a home
        return None


def _stamps(files: Mapping[str, Path]) -> dict[str, Stamp]:
    try:
        return {name: _stamp_of(path) for name, path in files.items()}
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); download or copy it again") from error


def _stamp(path: Path) -> Stamp | None:
    try:
        return _stamp_of(path)
    except OSError:
        return None


def _stamp_of(path: Path) -> Stamp:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _is_settled(stamp: Stamp, looked_ns: int) -> bool:
    _, mtime_ns, ctime_ns, _ = stamp
    return max(mtime_ns, ctime_ns) < looked_ns - _SETTLED_NS


def _key_of(files: Mapping[str, Path]) -> str:
    """Return the name of the index of these tables: a hash of their contents and of the index format."""
    return hashlib.sha256(json.dumps([FORMAT, table_digests(files)]).encode()).hexdigest()


def _load(path: Path, *, checked: bool = False) -> NuScenesIndex | None:
    try:
        return NuScenesIndex.load(path, checked=checked)
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
        tables = {str(name): _four_integers(stamp) for name, stamp in content["tables"].items()}
        record = _Record(
            key=str(content["key"]),
            tables=tables,
            hashed_ns=int(content["hashed_ns"]),
            index=_four_integers(content["index"]),
            checked_ns=int(content["checked_ns"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    # The key becomes a file name.
    return record if len(record.key) == 64 and record.key.isalnum() else None


def _four_integers(values: list[int]) -> Stamp:
    size, mtime_ns, ctime_ns, inode = values
    return [int(size), int(mtime_ns), int(ctime_ns), int(inode)]


def _write_record(path: Path, record: _Record) -> None:
    with suppress(DataError):  # nothing is lost: the tables are hashed again next time
        write_atomic(path, json.dumps(asdict(record)).encode())
