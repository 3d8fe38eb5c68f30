"""The loss curve of a run as a file: one line of JSON per step, each written before the next step begins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType

from surround_depth.files import without_nan
from surround_depth.training.loop import StepReport


class LossCurve:
    """Appends to `path`; opens it with the lines of the steps up to `last_step` only, whatever came after them."""

    def __init__(self, path: Path, last_step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._file.truncate(_length_until(path, last_step))  # in place: not for an instant is what stays in danger

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


def _length_until(path: Path, last_step: int) -> int:
    """Return the bytes of the whole lines of the steps up to `last_step`; the last one of a killed run may be torn."""
    length = 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            break
        if step > last_step or not line.endswith(b"\n"):
            break
        length += len(line)
    return length
