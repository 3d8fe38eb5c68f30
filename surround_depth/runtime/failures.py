"""What became of the frames that could not be played: one damaged file must not stop a drive, many in a row must."""

from __future__ import annotations

from surround_depth.errors import DataError

MAX_IN_A_ROW = 10


class Failures:
    """Counts frames whose data are damaged, and keeps the first reason for the report."""

    def __init__(self) -> None:
        self.n = 0
        self.first: DataError | None = None
        self._n_in_a_row = 0

    def add(self, error: DataError) -> None:
        """Count a frame that failed.

        Raises:
            DataError: it is the tenth since the last success; the recording, not a frame of it, is damaged.
        """
        self.n += 1
        self._n_in_a_row += 1
        self.first = self.first or error
        if self._n_in_a_row >= MAX_IN_A_ROW:
            raise DataError(f"{self._n_in_a_row} frames in a row failed, the last one with: {error}") from error

    def add_success(self) -> None:
        """Note a frame that went well."""
        self._n_in_a_row = 0
