"""One hash that tells two versions of a data set's tables apart; pictures and clouds, which they name, are not read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from surround_depth.errors import DataError
from surround_depth.files import file_sha256


def table_digests(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by name, sorted.

    Raises:
        DataError: a file cannot be read.
    """
    digests = {}
    for name, path in sorted(files.items()):
        try:
            digests[name] = file_sha256(path)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); download or copy it again") from error
    return digests


def tables_sha256(files: Mapping[str, Path]) -> str:
    """Return one hash over files by name and content.

    Raises:
        DataError: a file cannot be read.
    """
    return hashlib.sha256(json.dumps(table_digests(files)).encode()).hexdigest()
