"""Where files named by a data set may lie, and how its JSON, array and mask files are opened: one home for distrust.

Tables are input: a path in them never leaves the data root, no file is ever unpickled, and a damaged file is a
`DataError` that names the file, who referred to it, and what to do.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError

# Sidecar of our own trees: one mask per camera.
OWN_BODY_FOLDER = "own_body"
# Ten times the largest there is, the dense depth of an 8-megapixel image; deflate unfolds a thousandfold.
_MAX_ARRAY_BYTES = 256 << 20
_AGAIN = "download or copy it again"
_SHOWN_CHARS = 120


def require_root(root: str | Path, what: str) -> Path:
    """Return the resolved folder that a user named, `~` expanded; `what` names it in the error, e.g. "DDAD".

    Raises:
        DataError: it is no folder, or cannot be looked up.
    """
    try:
        path = Path(root).expanduser()
        if path.is_dir():
            return path.resolve()
    except (OSError, RuntimeError) as error:  # a name too long for the disk, no permission; no such user
        raise DataError(f"{what} root {_brief(str(root))} cannot be looked up ({reason_of(error)}); mend it") from error
    raise DataError(f"{what} root {_brief(str(path))} is not a folder; give the folder that holds the data")


def files_matching(folder: Path, pattern: str) -> list[Path]:
    """Return what a glob pattern finds below `folder`, sorted.

    Raises:
        DataError: a folder cannot be listed.
    """
    try:
        return sorted(folder.glob(pattern))
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({reason_of(error)}); check its permissions") from error


def path_inside(root: Path, relative: str, referrer: str) -> Path:
    """Return the path of a file that a table names, after proving that it lies inside `root` (itself resolved).

    Args:
        referrer: who named it, e.g. "sample_data 03bea5", for the error.

    Raises:
        DataError: absolute, `..` in it, a link that leads out of the root, or no such file.
    """
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or "\\" in relative or "\0" in relative:
        raise DataError(f"{referrer}: path {relative!r} leaves the data root; only paths relative to the root are read")
    path = root / pure
    try:
        is_inside, is_file = path.resolve().is_relative_to(root), path.is_file()
    except (OSError, RuntimeError) as error:  # a name too long for the disk; links in a circle
        text = f"path {_brief(relative)} cannot be looked up ({reason_of(error)})"
        raise DataError(f"{referrer}: {text}; mend the row") from error
    if not is_inside:
        raise DataError(f"{referrer}: {relative!r} is a link out of {root}; move the files in, or link the whole root")
    if not is_file:
        raise DataError(f"{referrer}: file {str(path)!r} does not exist; {_AGAIN}, or remove the row that names it")
    return path


def read_json(path: Path, row_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return a JSON file's content; `row_hook` replaces each object as it is parsed (see `json.loads`)."""
    try:
        return json.loads(path.read_bytes(), object_hook=row_hook)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); {_AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); it may be cut short: {_AGAIN}") from error


def read_npz(path: Path, key: str, referrer: str) -> NDArray[Any]:
    """Return one array of an `.npz` file, never unpickling and never allocating more than the file holds.

    Raises:
        DataError: no such array, larger than 256 MiB, or damaged in any way.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            if info.file_size > _MAX_ARRAY_BYTES:
                raise ValueError(f"array {key!r} claims {info.file_size} bytes, the limit is {_MAX_ARRAY_BYTES}")
            return _array_of(archive.read(info))
    except KeyError as error:
        raise DataError(f"{referrer}: {path} has no array {key!r}; is it a file of another kind?") from error
    except Exception as error:  # one flipped bit may fail in zipfile, zlib, numpy, or Python's own parser
        raise DataError(f"{referrer}: {path} is not a readable npz ({error}); {_AGAIN}") from error


def _array_of(npy: bytes) -> NDArray[Any]:
    """Return the array of an `.npy` file, whose header is compared with its size before anything is allocated."""
    stream = io.BytesIO(npy)
    is_first_version = np.lib.format.read_magic(stream) == (1, 0)
    read_header = np.lib.format.read_array_header_1_0 if is_first_version else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    claimed, held = math.prod(shape) * dtype.itemsize, len(npy) - stream.tell()
    if claimed != held:
        raise ValueError(f"its header claims {claimed} bytes, it holds {held}")
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def read_own_body(path: Path, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Return True [H, W] where the image shows the own vehicle; in the file 255 = keep, 0 = own vehicle.

    Raises:
        DataError: the file cannot be read, is no image, or of another size.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"own-body mask {path} cannot be read ({reason_of(error)}); {_AGAIN}") from error
    try:
        keep = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    except cv2.error:  # a header that claims more pixels than OpenCV reads
        keep = None
    if keep is None:
        raise DataError(f"own-body mask {path} is not a readable image; {_AGAIN}")
    if keep.shape != (height_px, width_px):
        found = f"{keep.shape[1]}x{keep.shape[0]}"
        raise DataError(f"own-body mask {path} is {found}, its camera {width_px}x{height_px}; give this camera's mask")
    return np.asarray(keep < 128)


def reason_of(error: Exception) -> str:
    """Return why the system refused a file, without the name of the file, which the message has already."""
    return getattr(error, "strerror", None) or str(error)


def _brief(name: str) -> str:
    return repr(name) if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]!r}..."
