"""What an engine directory says of itself, written down: its files' digests and the manifest over them."""

from __future__ import annotations

from pathlib import Path

from surround_depth.errors import EngineMismatchError
from surround_depth.files import file_sha256
from surround_depth.inference.manifest import MANIFEST_NAME, FileRecord, Manifest


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
