"""One small table, written as Markdown (for a terminal and a README) or HTML (for the demo page)."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A header and rows of text; `emphasised` is the index of the row that sums up the others, if any."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    emphasised: int | None = None

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"row {row} has {len(row)} cells, the header {len(self.header)}")

    def markdown(self) -> str:
        """Return the table in GitHub's Markdown, first column left-aligned, numbers right."""
        header, *rows = [tuple(cell.replace("|", "\\|") for cell in line) for line in (self.header, *self.rows)]
        widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [header, tuple(rule), *rows]
        return "\n".join(f"| {_padded(line, widths)} |" for line in lines)

    def html(self) -> str:
        """Return the table as an HTML element, every cell escaped."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.header)
        body = "".join(
            ("<tr class='mean'>" if index == self.emphasised else "<tr>")
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
            + "</tr>"
            for index, row in enumerate(self.rows)
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True)
class CaptionedTable:
    """A table and the sentence above it."""

    caption: str
    table: Table


def _padded(line: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(line, widths, strict=True)
    return " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])
