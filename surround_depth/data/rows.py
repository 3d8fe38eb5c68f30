"""One row of a data set's JSON, read with types: a wrong field is a `DataError` that names table, row and key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from surround_depth.errors import CalibrationError, DataError
from surround_depth.geometry import Array, quaternion_to_R, rigid

YEAR_2200_NS = 7_258_118_400 * 10**9


@dataclass(frozen=True)
class Row:
    """A JSON object and what to call it in errors, e.g. "sample_data.json row 03bea5"."""

    label: str
    values: Mapping[str, Any]

    def text(self, key: str) -> str:
        """Return a non-empty string field, printable: it may become a file name, and stands in errors of one line."""
        value = self._get(key)
        if not isinstance(value, str) or not value.isprintable() or not value:
            raise self._error(key, "text of printable characters", value)
        return value

    def integer(self, key: str) -> int:
        """Return an integer field."""
        value = self._get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._error(key, "an integer", value)
        return value

    def number(self, key: str) -> float:
        """Return a finite number."""
        return _finite(self, key, self._get(key))

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """Return a list of `count` finite numbers."""
        value = self._get(key)
        if not isinstance(value, list) or len(value) != count:
            raise self._error(key, f"a list of {count} numbers", value)
        return tuple(_finite(self, key, item) for item in value)

    def matrix(self, key: str, rows: int, columns: int) -> tuple[tuple[float, ...], ...]:
        """Return a nested list of finite numbers, row by row."""
        value = self._get(key)
        if not isinstance(value, list) or len(value) != rows:
            raise self._error(key, f"a {rows}x{columns} matrix", value)
        return tuple(Row(self.label, {key: row}).numbers(key, columns) for row in value)

    def items(self, key: str) -> list[Any]:
        """Return a list field."""
        value = self._get(key)
        if not isinstance(value, list):
            raise self._error(key, "a list", value)
        return value

    def child(self, key: str) -> Row:
        """Return a nested object as a row of its own."""
        value = self._get(key)
        if not isinstance(value, dict):
            raise self._error(key, "an object", value)
        return Row(f"{self.label}, {key}", value)

    def _get(self, key: str) -> Any:
        if key not in self.values:
            raise DataError(f"{self.label} has no field {key!r}; the file is damaged or of another format")
        return self.values[key]

    def _error(self, key: str, expected: str, value: Any) -> DataError:
        return DataError(f"{self.label}: {key} must be {expected}, got {_shortened(value)!r}; mend the row")


def _shortened(value: Any) -> str:
    try:
        return str(value)[:60]
    except ValueError:  # an integer of thousands of digits
        return "a huge integer"


def require_stamp(label: str, stamp_ns: int) -> int:
    """Return a stamp in nanoseconds since 1970 after proving that it lies before the year 2200.

    Raises:
        DataError: it does not: the file counts in another unit (DDAD has scenes whose times are ten times too large).
    """
    if not 0 < stamp_ns < YEAR_2200_NS:
        raise DataError(f"{label}: its timestamp is not between 1970 and 2200; the file counts in another unit of time")
    return stamp_ns


def _finite(row: Row, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise row._error(key, "finite numbers", value)
    return float(value)


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def require_rows(content: Any, label: str) -> list[dict[str, Any]]:
    """Return `content` as the list of objects it has to be."""
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise DataError(f"{label}: expected a list of objects; the file is damaged or of another format")
    return content


def rigid_of(label: str, q_wxyz: tuple[float, ...], t_m: tuple[float, ...]) -> Array:
    """Return the transform [4, 4] of a quaternion and a translation in metres, `label` named in the error."""
    try:
        with np.errstate(over="ignore"):  # a norm beyond the largest float is refused like any other
            return rigid(quaternion_to_R(q_wxyz), t_m)
    except CalibrationError as error:
        raise DataError(f"{label}: {error}") from error
