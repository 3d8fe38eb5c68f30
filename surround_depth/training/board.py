"""What a run shows while it goes on: scalars and pictures, for TensorBoard (owned here) and whoever else is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from surround_depth.training.loop import StepReport
from surround_depth.training.validation import Validation


class Board(Protocol):
    """Takes values and RGB pictures [H, W, 3] by name."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Show numbers of a step."""

    def pictures(self, pictures: Mapping[str, NDArray[np.uint8]], step: int) -> None:
        """Show pictures of a step."""

    def close(self) -> None:
        """Write what is not written yet."""


class TensorBoard:
    """Writes event files under a directory; events after `last_step` that an earlier process left are taken back."""

    def __init__(self, directory: Path, last_step: int) -> None:
        self._writer = SummaryWriter(str(directory), purge_step=last_step + 1)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Show numbers of a step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def pictures(self, pictures: Mapping[str, NDArray[np.uint8]], step: int) -> None:
        """Show pictures of a step."""
        for name, picture in pictures.items():
            self._writer.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is not written yet."""
        self._writer.close()


class Boards:
    """Several boards as one."""

    def __init__(self, boards: Sequence[Board]) -> None:
        self._boards = boards

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Show numbers of a step."""
        for board in self._boards:
            board.scalars(values, step)

    def pictures(self, pictures: Mapping[str, NDArray[np.uint8]], step: int) -> None:
        """Show pictures of a step."""
        for board in self._boards:
            board.pictures(pictures, step)

    def close(self) -> None:
        """Close every board, also where one fails."""
        with ExitStack() as closing:
            for board in self._boards:
                closing.callback(board.close)


def step_scalars(report: StepReport, n_skipped: int) -> dict[str, float]:
    """Return the total, every raw term and its count, and how the optimiser moved.

    Args:
        n_skipped: steps that fp16's loss scale has skipped since the run began.
    """
    values = {"loss/total": float(report.loss.total)}
    for name, term in report.loss.terms.items():
        values |= {f"loss/{name}": float(term.value), f"count/{name}": float(term.count)}
    moved = {
        "optim/lr": report.lr,
        "optim/gradient_norm": report.gradient_norm,
        "optim/skipped_steps": float(n_skipped),
    }
    return values | moved


def validation_scalars(validation: Validation) -> dict[str, float]:
    """Return every metric of a validation that was measured."""
    values = {"val/mean_confidence_gap": validation.mean_confidence_gap}
    values |= {f"val_abs_rel/{name}": value for name, value in validation.abs_rel_of_sets.items()}
    for kind in ("dense", "lidar", "baseline_dense", "baseline_lidar"):
        values |= {f"val_{kind}/{name}": value for name, value in getattr(validation, kind).as_dict().items()}
    return {name: value for name, value in values.items() if np.isfinite(value)}
