"""One form for every benchmark's result: a Markdown file for people and the same figures as JSON, named by the day."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from surround_depth.errors import ConfigError, DataError
from surround_depth.export.machine import describe_machine
from surround_depth.files import write_atomic, write_json
from surround_depth.provenance import command_line, package_versions


@dataclass(frozen=True)
class Table:
    """A Markdown table; the first column is text, the others numbers. An empty cell says that there is no number."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        rule = ("---", *("---:" for _ in self.head[1:]))
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (self.head, rule, *self.rows))


@dataclass(frozen=True)
class Report:
    """What a benchmark found: `blocks` are paragraphs and tables in order, `figures` the same as plain values."""

    name: str  # in the files' names
    title: str
    blocks: tuple[str | Table, ...]
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """What a reader needs to repeat a run and to judge it; taken before it starts, `load` above all."""

    date: str  # UTC
    command: str
    machine: Mapping[str, str]  # the commit is in it
    load: float  # mean number of processes that wanted a core in the minute before
    versions: Mapping[str, str]

    def markdown(self) -> str:
        """Return the run as a Markdown paragraph."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        machine = (
            f"{self.machine['cpu']}, cores: {self.machine['cores']}, {self.machine['memory']}, "
            f"GPU: {self.machine['gpu']}, {self.machine['system']}"
        )
        return (
            f"`{self.command}` at commit {self.machine['commit']}, {self.date}. {machine}; load at the start "
            f"{self.load:.1f}. {versions}."
        )


def start_run(out: Path, packages: Iterable[str]) -> Run:
    """Return the facts of a run that starts now, whose report goes to `out`; `packages` are what it measures.

    Raises:
        DataError: `out` cannot be made, which is better known before the measurement than after it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out} cannot be made ({error.strerror}); choose another --out") from error
    return Run(
        date=datetime.now(UTC).date().isoformat(),
        command=command_line(),
        machine=describe_machine(),
        load=os.getloadavg()[0],
        versions=package_versions(packages),
    )


def write_report(report: Report, run: Run, out: Path) -> str:
    """Write `<date>-<name>.md` and `.json` into `out`; return the Markdown.

    Raises:
        DataError: `out` cannot be written.
    """
    blocks = (f"# {report.title}", run.markdown(), *map(str, report.blocks))
    text = "\n\n".join(blocks) + "\n"
    stem = f"{run.date}-{report.name}"
    write_json(out / f"{stem}.json", {"run": asdict(run), **report.figures})
    write_atomic(out / f"{stem}.md", text.encode())
    return text


def require_repeats(option: str, count: int) -> None:
    """Check that something is measured at all.

    Raises:
        ConfigError: `count` is below one.
    """
    if count < 1:
        raise ConfigError(f"{option} is {count}; measure at least once")
