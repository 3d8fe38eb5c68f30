"""A JSON table read row by row: a list of objects of any length, of which a window is held at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from surround_depth.errors import DataError

JsonRow = dict[str, Any]

_CHUNK_BYTES = 128 << 10  # its rows, as objects, stay in the processor's cache: a fifth faster than megabytes
_MAX_ROW_CHARS = 16 << 20
_SPACE = re.compile(r"[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_CLOSE = re.compile(r"[ \t\n\r]*\][ \t\n\r]*")


def iter_row_batches(path: Path) -> Iterator[list[JsonRow]]:
    """Yield the objects of a JSON list in the order of the file, in batches of some hundred.

    Raises:
        DataError: not UTF-8, not JSON, not a list of objects, or an object of more than 16 million characters.
    """
    try:
        with path.open("rb") as file:
            yield from _RowParser(path, file).batches()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); download or copy it again") from error


class _RowParser:
    """A window of text that moves over the file; `position` is the next character to parse in it."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._parse = json.JSONDecoder().raw_decode
        self._text, self._position, self._passed = "", 0, 0
        self._at_end = False

    def batches(self) -> Iterator[list[JsonRow]]:
        """Yield the rows of each window; a row that the window cuts waits for the next one."""
        while self._position == len(self._text) and not self._at_end:
            self._read()
            self._position = self._after(_SPACE)
        if not self._text.startswith("[", self._position):
            self._require_json_document()
            raise DataError(f"{self._path}: expected a list of rows; the file is damaged or of another format")
        self._position += 1
        is_first = True
        while True:
            rows, is_closed = self._rows(is_first)
            is_first = is_first and not rows
            if rows:
                yield rows
            if is_closed:
                return self._require_end()
            self._read()

    def _rows(self, is_first: bool) -> tuple[list[JsonRow], bool]:
        """Return the rows that are whole in the window, and whether the list ends there."""
        rows = self._rows_at_once(is_first)
        while True:
            if closing := _CLOSE.match(self._text, self._position):
                self._position = closing.end()
                return rows, True
            start = self._after(_SPACE)
            if not (is_first and not rows):
                comma = _COMMA.match(self._text, self._position)
                if comma is None:
                    self._refuse_unless_cut("a comma or the end of the list is missing", start)
                    return rows, False
                start = comma.end()
            try:
                row, end = self._parse(self._text, start)
            except RecursionError as error:
                raise self._error("it is nested too deeply", start) from error
            except json.JSONDecodeError as error:
                self._refuse_unless_cut(error.msg, error.pos, row_start=start)
                return rows, False
            except ValueError as error:  # an integer of thousands of digits
                raise self._error(str(error), start) from error
            if not isinstance(row, dict):
                raise DataError(f"{self._path}: expected a list of objects; the file is damaged or of another format")
            rows.append(row)
            self._position = end

    def _rows_at_once(self, is_first: bool) -> list[JsonRow]:
        """Return the window's rows up to its last brace, which costs half; none where that is no list of objects.

        Exact: what ends in a brace and parses as a list of objects is a whole number of rows, however the file goes on.
        """
        comma = _SPACE.match(self._text, self._position) if is_first else _COMMA.match(self._text, self._position)
        end = self._text.rfind("}") + 1
        if comma is None or end <= comma.end():
            return []
        try:
            rows: list[JsonRow] = json.loads(f"[{self._text[comma.end() : end]}]")
        except (ValueError, RecursionError):
            return []
        if set(map(type, rows)) != {dict}:
            return []
        self._position = end
        return rows

    def _refuse_unless_cut(self, message: str, position: int, row_start: int | None = None) -> None:
        """Raise unless more of the file may mend it: a row cut by the window looks like a damaged one."""
        is_cut_row = row_start is not None and len(self._text) - row_start <= _MAX_ROW_CHARS
        if self._at_end or not (is_cut_row or position == len(self._text)):
            raise self._error(message, position)

    def _read(self) -> None:
        """Drop what is parsed and append at least as much as is left: a long row is parsed a few times only."""
        left = self._text[self._position :]
        data = self._file.read(max(_CHUNK_BYTES, len(left)))
        self._at_end = not data
        self._passed += self._position
        try:
            self._text = left + self._decode(data, final=self._at_end)
        except UnicodeDecodeError as error:
            raise self._error(f"it is not UTF-8: {error.reason}", len(left)) from error
        self._position = 0

    def _require_end(self) -> None:
        while not self._at_end:
            if self._position < len(self._text):
                raise self._error("more follows after the list", self._position)
            self._read()
            self._position = self._after(_SPACE)
        if self._position < len(self._text):
            raise self._error("more follows after the list", self._position)

    def _require_json_document(self) -> None:
        """Raise where the file is not even JSON, as far as its first window tells."""
        try:
            self._parse(self._text, self._position)
        except (ValueError, RecursionError) as error:
            raise self._error(getattr(error, "msg", str(error)), self._position) from error

    def _after(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._position)
        return self._position if match is None else match.end()

    def _error(self, message: str, position: int) -> DataError:
        where = self._passed + position
        return DataError(
            f"{self._path} is not valid JSON ({message}, at character {where}); it may be cut short: "
            "download or copy it again"
        )
