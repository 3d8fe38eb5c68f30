"""The nuScenes JSON tables as columns, with every row that cannot be used set aside and named.

Format: schema v1.0 of nuscenes.org. `prev` and `next` links are not read: order comes from the stamps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.json_rows import JsonRow, iter_row_batches
from surround_depth.data.nuscenes_index import KEPT_FAULTS, Faults, FaultScope
from surround_depth.data.paths import files_matching, path_inside
from surround_depth.data.row_columns import Column, Field, columns_of, row_of
from surround_depth.data.tokens import KeyLookup, TokenBook
from surround_depth.errors import DataError

NEEDED_TABLES = ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor")
BOX_TABLES = ("category", "instance", "sample_annotation")  # read where all three are there


def find_version(root: Path, version: str | None) -> str:
    """Return the version folder to read: the one asked for, else the only one there is."""
    folders = {path.parent.name for path in files_matching(root, "*/sample_data.json")}
    found = sorted(name for name in folders if not name.startswith("."))  # a writer's half-made folder is hidden
    if version is None and len(found) == 1:
        return found[0]
    listing = ", ".join(found) or "none"
    if version is None:
        raise DataError(f"{root} has these version folders: {listing}; it needs exactly one, unless version says which")
    if version not in found:
        raise DataError(f"{root} has no version {version!r} with a sample_data.json; it has: {listing}")
    return version


def table_files(root: Path, version: str) -> dict[str, Path]:
    """Return the files of the tables that are read, by name.

    Raises:
        DataError: a needed table is missing, or is a link out of the root.
    """
    missing = [f"{name}.json" for name in NEEDED_TABLES if not (root / version / f"{name}.json").is_file()]
    if missing:
        raise DataError(
            f"{root / version} lacks {', '.join(missing)}; extract the metadata archive of this version again"
        )
    has_boxes = all((root / version / f"{name}.json").is_file() for name in BOX_TABLES)
    names = NEEDED_TABLES + (BOX_TABLES if has_boxes else ())
    return {name: path_inside(root, f"{version}/{name}.json", f"table {name}") for name in names}


@dataclass(frozen=True)
class Target:
    """A table that others refer to."""

    table: str
    lookup: KeyLookup
    refused: Mapping[bytes, str]  # by key: its rows that could not be read, and why


@dataclass(frozen=True)
class TableReader:
    """Reads the tables of one version; what cannot be used goes to `faults`."""

    files: Mapping[str, Path]
    book: TokenBook = field(default_factory=TokenBook)
    faults: Faults = field(default_factory=Faults)

    def batches(
        self, table: str, fields: Sequence[Field], refuse: Callable[[JsonRow, str], None]
    ) -> Iterator[dict[str, Column]]:
        """Yield the columns of a table, batch by batch; `refuse` is told each bad row and why."""
        for rows in iter_row_batches(self.files[table]):
            columns, bad = columns_of(table, rows, fields)
            for row in bad:
                refuse(row.values, row.message)
            yield columns

    def read(
        self, table: str, fields: Sequence[Field], scope: FaultScope
    ) -> tuple[dict[str, Column], dict[bytes, str]]:
        """Return a small table's columns, tokens all different, and its refused rows by key."""
        refused: dict[bytes, str] = {}

        def refuse(values: JsonRow, message: str) -> None:
            self.faults.add(scope, message)
            remember(refused, self.token_key(values), message)

        parts = list(self.batches(table, fields, refuse))
        columns = {f.name: np.concatenate([f.pack([]), *(part[f.name] for part in parts)]) for f in fields}
        repeated = KeyLookup.of(columns["token"]).repeated_rows()
        for row in repeated:
            self.faults.add(scope, repeated_message(table, self.book.text(columns["token"][row])))
        return {name: np.delete(column, repeated, axis=0) for name, column in columns.items()}, refused

    def token_key(self, values: JsonRow) -> list[bytes]:
        """Return the key of a row's token, as a list that is empty where it has none."""
        keys = self.book.keys([values.get("token")])
        return [] if keys is None else keys.tolist()

    def follow(
        self, table: str, columns: Mapping[str, Column], target: Target, scope_of: Callable[[int], FaultScope]
    ) -> tuple[NDArray[np.int64], dict[bytes, str]]:
        """Return per row the row of `target` it refers to, -1 where there is none, and these refused rows by key."""
        found = target.lookup.find(columns[f"{target.table}_token"])
        refused = {}
        for row in np.flatnonzero(found < 0).tolist():
            refused[columns["token"][row]] = message = self._dangling(table, columns, target, row)
            self.faults.add(scope_of(row), message)
        return found, refused

    def _dangling(self, table: str, columns: Mapping[str, Column], target: Target, row: int) -> str:
        label = self.label(table, columns["token"][row])
        name = f"{target.table}_token"
        key = columns[name][row]
        if key in target.refused:
            return f"{label}: {target.refused[key]}"
        token = self.book.text(key)
        return f"{label}: {name} {token[:64]!r} is not in {target.table}.json; use tables of one version"

    def label(self, table: str, key: bytes) -> str:
        """Return what errors call a row."""
        return row_of(table, {"token": self.book.text(key)}).label


def remember(refused: dict[bytes, str], key: list[bytes], message: str) -> None:
    """Note why the row of a key (a list of one, or empty) was refused; of the first thousand, as in `Faults`."""
    if len(refused) < KEPT_FAULTS:
        refused.update(dict.fromkeys(key, message))


def repeated_message(table: str, token: str) -> str:
    """Say that two rows of a table have one token."""
    return f"{row_of(table, {'token': token}).label}: an earlier row has the same token; remove one"


def starts_of(owners: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return [count + 1] where the rows of each owner begin, of rows in order of their owner."""
    return np.searchsorted(owners, np.arange(count + 1)).astype(np.int64)
