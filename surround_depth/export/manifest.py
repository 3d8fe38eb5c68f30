"""Write an engine directory as one whole: files beside each other, a manifest over them, then one rename into place."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.manifest import MANIFEST_NAME, FileRecord, Manifest

_DIRECTORY_MODE = 0o755
_HASH_BLOCK_BYTES = 1 << 20


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def record_file(path: Path) -> FileRecord:
    """Return what the manifest says of a file."""
    return FileRecord(name=path.name, sha256=file_sha256(path), n_bytes=path.stat().st_size)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `model.json`, readable by people too."""
    (directory / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def require_replaceable(out: Path) -> None:
    """Refuse to overwrite anything but an engine.

    Raises:
        EngineMismatchError: `out` is a link, a file, or a directory that holds something else than an engine.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise EngineMismatchError(f"--out {out}: is not a directory; name a new folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST_NAME).is_file():
        raise EngineMismatchError(f"--out {out}: holds files but no {MANIFEST_NAME}: no engine; name a new folder")


@contextmanager
def whole_or_nothing(out: Path) -> Iterator[Path]:
    """Yield a scratch folder that becomes `out` when the body succeeds, and disappears when it does not.

    A reader sees the old engine or the new one, or for an instant none; never half of one. The scratch folder lies
    beside `out`, so that the last step is a rename.

    Raises:
        EngineMismatchError: `out` holds something that is not an engine.
    """
    require_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        new = scratch / "new"
        new.mkdir(mode=_DIRECTORY_MODE)
        new.chmod(_DIRECTORY_MODE)  # whatever the umask says: a vehicle's process may be another user
        yield new
        if out.is_dir():
            os.rename(out, scratch / "old")
        os.rename(new, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
