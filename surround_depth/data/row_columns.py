"""Rows of a table to columns: a whole batch at once where every value is right, row by row where one is not.

The two ways agree: `pack` accepts a batch exactly where `check` accepts each of its rows. The fast one does the work,
the slow one finds and words the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.json_rows import JsonRow
from surround_depth.data.rows import YEAR_2200_NS, Row, require_stamp, rigid_of
from surround_depth.data.tokens import TokenBook
from surround_depth.errors import DataError

NS_PER_US = 1000
_MAX_SIZE_PX = 1 << 20
_MAX_TEXT_CHARS = 1 << 16
_NORM_TOLERANCE = 1e-3  # of a quaternion; as in `geometry.quaternion_to_R`
_MAX_LABEL_CHARS = 64

Column = NDArray[Any]


@dataclass(frozen=True)
class Field:
    """One field of a table: how a row is checked, and how the values of many rows become a column."""

    name: str
    check: Callable[[Row], object]  # raises DataError, which says what is wrong
    pack: Callable[[list[Any]], Column | None]  # None where a value is not what it has to be


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read, and why."""

    values: JsonRow
    message: str


def row_of(table: str, values: JsonRow) -> Row:
    """Return a row with the name it has in errors: its table and token, on one line whatever the token holds."""
    token = values.get("token", "(no token)")
    text = token if isinstance(token, str) else type(token).__name__
    return Row(f"{table}.json row {text[:_MAX_LABEL_CHARS].encode('unicode_escape').decode()}", values)


def columns_of(table: str, rows: list[JsonRow], fields: Sequence[Field]) -> tuple[dict[str, Column], list[BadRow]]:
    """Return the columns of those rows that are right, by field, and the others."""
    packed = _packed(rows, fields)
    if packed is not None:
        return packed, []
    good, bad = [], []
    for values in rows:
        row = row_of(table, values)
        try:
            for field in fields:
                field.check(row)
            good.append(values)
        except DataError as error:
            bad.append(BadRow(values, str(error)))
    packed = _packed(good, fields)
    if packed is None:  # the two ways disagree: ours to mend, but still a named error for the user
        raise DataError(f"{table}.json: a row has values that are neither right nor known to be wrong; report it")
    return packed, bad


def _packed(rows: list[JsonRow], fields: Sequence[Field]) -> dict[str, Column] | None:
    columns = {}
    for field in fields:
        column = field.pack([values.get(field.name) for values in rows])  # no kind takes None for a value
        if column is None:
            return None
        columns[field.name] = column
    return columns


# --- kinds of fields --------------------------------------------------------------------------------------------------


def token_field(name: str, book: TokenBook) -> Field:
    """A token; its column holds keys."""

    def check(row: Row) -> None:
        if book.keys([row.text(name)]) is None:
            raise DataError(f"{row.label}: {name} must be printable text; mend the row")

    return Field(name, check, book.keys)


def text_field(name: str) -> Field:
    """Printable text, so that it stays one line in an error; its column holds Python's strings."""

    def check(row: Row) -> None:
        text = row.text(name)
        if _pack_texts([text]) is None:
            raise DataError(f"{row.label}: {name} must be at most {_MAX_TEXT_CHARS} printable characters; mend the row")

    return Field(name, check, _pack_texts)


def note_field(name: str) -> Field:
    """Text that nothing depends on: what is missing or no text reads as empty."""
    return Field(
        name, lambda row: None, lambda values: _objects([value if isinstance(value, str) else "" for value in values])
    )


def raw_field(name: str) -> Field:
    """Anything, to be checked by who knows which rows need it."""
    return Field(name, lambda row: None, _objects)


def flag_field(name: str) -> Field:
    """True or false; a text such as "false" is neither."""

    def check(row: Row) -> None:
        if name not in row.values:
            raise DataError(f"{row.label} has no field {name!r}; the file is damaged")
        value = row.values[name]
        if not isinstance(value, bool):
            raise DataError(f"{row.label}: {name} must be true or false, got {str(value)[:60]!r}; mend the row")

    return Field(name, check, lambda values: np.array(values, np.bool_) if set(map(type, values)) <= {bool} else None)


def size_field(name: str) -> Field:
    """A number of pixels, 0 for sensors without pixels."""

    def check(row: Row) -> None:
        if not 0 <= row.integer(name) <= _MAX_SIZE_PX:
            raise DataError(f"{row.label}: {name} must be 0 to {_MAX_SIZE_PX} pixels; mend the row")

    return Field(name, check, lambda values: _pack_integers(values, 0, _MAX_SIZE_PX))


def stamp_field(name: str) -> Field:
    """Microseconds since 1970."""
    return Field(
        name,
        lambda row: require_stamp(row.label, row.integer(name) * NS_PER_US),
        lambda values: _pack_integers(values, 1, (YEAR_2200_NS - 1) // NS_PER_US),
    )


def vector_field(name: str, count: int, *, positive: bool = False) -> Field:
    """A list of `count` finite numbers, all above zero with `positive`; its column is [rows, count]."""

    def check(row: Row) -> None:
        if positive and min(row.numbers(name, count)) <= 0.0:
            raise DataError(f"{row.label}: {name} must be {count} numbers above zero; mend the row")
        row.numbers(name, count)

    def pack(values: list[Any]) -> Column | None:
        vectors = _pack_vectors(values, count)
        return None if vectors is None or (positive and (vectors <= 0.0).any()) else vectors

    return Field(name, check, pack)


def quaternion_field(name: str) -> Field:
    """A unit quaternion w, x, y, z; its column is [rows, 4]."""

    def check(row: Row) -> None:
        rigid_of(row.label, row.numbers(name, 4), (0.0, 0.0, 0.0))

    def pack(values: list[Any]) -> Column | None:
        quaternions = _pack_vectors(values, 4)
        if quaternions is None:
            return None
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(quaternions, axis=1)
        return None if (np.abs(norms - 1.0) > _NORM_TOLERANCE).any() else quaternions

    return Field(name, check, pack)


def _pack_texts(values: list[Any]) -> Column | None:
    if set(map(type, values)) - {str}:
        return None
    lengths = list(map(len, values))
    if values and not 0 < min(lengths) <= max(lengths) <= _MAX_TEXT_CHARS:
        return None
    return _objects(values) if "".join(values).isprintable() else None


def _objects(values: list[Any]) -> Column:
    column = np.empty(len(values), object)
    for row, value in enumerate(values):  # not at once: numpy would make a matrix of lists
        column[row] = value
    return column


def _pack_integers(values: list[Any], low: int, high: int) -> Column | None:
    if set(map(type, values)) - {int} or (values and not low <= min(values) <= max(values) <= high):
        return None
    return np.array(values, np.int64)


def _pack_vectors(values: list[Any], count: int) -> Column | None:
    if set(map(type, values)) - {list} or set(map(len, values)) - {count}:
        return None
    numbers = list(chain.from_iterable(values))
    if set(map(type, numbers)) - {float, int}:
        return None
    try:
        column = np.array(numbers, np.float64).reshape(-1, count)
    except OverflowError:  # an integer that no float holds
        return None
    return column if np.isfinite(column).all() else None
