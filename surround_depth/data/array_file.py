"""Arrays and a JSON header in one file, memory-mapped when read: whole and checked, or refused.

One file, because a rename then replaces everything at once: a reader never mixes the arrays of two writers. Checksums,
because a flipped bit must not become a pose. Nothing is unpickled, and the types of the arrays come from the code.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.files import atomic_file

_MAGIC = b"sdarray1"
_PREFIX = struct.Struct("<8sQI")  # magic, bytes of the header, checksum of the header
_ALIGNMENT = 64
_BLOCK_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 30


def write_arrays(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `arrays` (one-dimensional) and what `header` says of them; a reader sees all of it or none.

    Raises:
        DataError: the folder cannot be written.
    """
    contents = {name: np.ascontiguousarray(array).view(np.uint8).data for name, array in arrays.items()}
    table = {name: {"count": len(arrays[name]), "crc32": zlib.crc32(content)} for name, content in contents.items()}
    encoded = json.dumps({"arrays": table, "header": header}, allow_nan=False).encode()
    with atomic_file(path) as file:
        file.write(_PREFIX.pack(_MAGIC, len(encoded), zlib.crc32(encoded)) + encoded)
        for content in contents.values():
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            file.write(content)


def read_arrays(
    path: Path, dtypes: Mapping[str, np.dtype[Any]], *, checked: bool = False
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the header and the arrays, mapped and read-only; every byte was compared with its checksum.

    Args:
        checked: the caller knows that the arrays were compared before and that the file did not change since; only the
            header is then, and the file is not read through.

    Raises:
        DataError: no such file, or not exactly what `write_arrays` wrote with arrays of these names and types.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(_checked_header(file))
            if list(content["arrays"]) != list(dtypes):
                raise ValueError(f"it holds {', '.join(content['arrays'])}")
            pass_over = _skip if checked else _check
            offsets = {name: pass_over(file, content["arrays"][name], dtype) for name, dtype in dtypes.items()}
            if file.read(1):
                raise ValueError("it is longer than its header says")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        counts = {name: content["arrays"][name]["count"] for name in dtypes}
        arrays = {n: _view(mapped, dtype, counts[n], offsets[n]) for n, dtype in dtypes.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is not a whole array file ({error}); remove it: it is made again") from error
    return content["header"], arrays


def _checked_header(file: BinaryIO) -> bytes:
    prefix = file.read(_PREFIX.size)
    if len(prefix) != _PREFIX.size:
        raise ValueError("it is cut short")
    magic, n_bytes, crc = _PREFIX.unpack(prefix)
    if magic != _MAGIC or n_bytes > _MAX_HEADER_BYTES:
        raise ValueError("it is of another format")
    encoded = file.read(n_bytes)
    if len(encoded) != n_bytes or zlib.crc32(encoded) != crc:
        raise ValueError("its header is damaged")
    return encoded


def _check(file: BinaryIO, entry: Mapping[str, Any], dtype: np.dtype[Any]) -> int:
    """Return where the next array begins, having read all of it: read, not mapped, so that it costs no memory."""
    if any(file.read(-file.tell() % _ALIGNMENT)):
        raise ValueError("there is something between its arrays")
    offset, crc, left = file.tell(), 0, entry["count"] * dtype.itemsize
    while left > 0:
        block = file.read(min(left, _BLOCK_BYTES))
        if not block:
            raise ValueError("it is cut short")
        crc, left = zlib.crc32(block, crc), left - len(block)
    if crc != entry["crc32"]:
        raise ValueError("a checksum differs")
    return offset


def _skip(file: BinaryIO, entry: Mapping[str, Any], dtype: np.dtype[Any]) -> int:
    """Return where the next array begins, without reading it; one that is cut short cannot be mapped."""
    offset = file.tell() + -file.tell() % _ALIGNMENT
    file.seek(offset + entry["count"] * dtype.itemsize)
    return offset


def _view(mapped: mmap.mmap, dtype: np.dtype[Any], count: int, offset: int) -> NDArray[Any]:
    return np.frombuffer(mapped, dtype, count, offset) if count else np.empty(0, dtype)
