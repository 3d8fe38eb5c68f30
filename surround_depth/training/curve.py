"""The loss curve of a run as a file: one line of JSON per step, each written before the next step begins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType

from surround_depth.files import without_nan, write_atomic
from surround_depth.training.loop import StepReport


class LossCurve:
    """Appends to `path`; opens it with the lines of the steps up to `last_step` only, whatever came after them."""

    def __init__(self, path: Path, last_step: int) -> None:
        write_atomic(path, "".join(_lines_until(path, last_step)).encode())
        self._file = path.open("ab", buffering=0)

    def add(self, step: int, report: StepReport) -> None:
        """Write the line of a step: total and raw terms over all processes, rate, gradient norm before clipping.

        Raises:
            OSError: the disk is full.
        """
        line = {
            "step": step,
            "total": float(report.loss.total),
            "terms": {name: float(term.value) for name, term in report.loss.terms.items()},
            "lr": report.lr,
            "gradient_norm": report.gradient_norm,
        }
        data = (json.dumps(without_nan(line | {"skipped": True} if report.skipped else line)) + "\n").encode()
        if self._file.write(data) != len(data):
            raise OSError("short write")

    def flush(self) -> None:
        """Return when every line is on the disk, power cut or not."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> LossCurve:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _lines_until(path: Path, last_step: int) -> list[str]:
    """Return the whole lines of the steps up to `last_step`; the last one of a killed run may be torn."""
    kept: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []:
        try:
            step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            break
        if step > last_step or not line.endswith("\n"):
            break
        kept.append(line)
    return kept
