"""What the main process writes while a run goes on, beside its states: curve, boards, metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from surround_depth.errors import DataError
from surround_depth.files import write_atomic
from surround_depth.training.board import Board, Boards, TensorBoard, step_scalars, validation_scalars
from surround_depth.training.config import TrainConfig
from surround_depth.training.curve import LossCurve
from surround_depth.training.loop import StepReport
from surround_depth.training.pictures import example_pictures
from surround_depth.training.validation import Example, Validation
from surround_depth.training.wandb_board import WandbBoard

BOARD_FOLDER = "tensorboard"
CURVE_NAME = "loss_curve.jsonl"
METRICS_NAME = "metrics.json"


class Logbook:
    """Opens the files of `out` where the first `last_step` steps end.

    Args:
        wandb: project of Weights & Biases that gets the same, or None.

    Raises:
        MissingDependencyError: wandb is asked for and not installed.
    """

    def __init__(self, config: TrainConfig, out: Path, last_step: int, wandb: str | None) -> None:
        self._config, self._out, self._last_step = config, out, last_step
        with ExitStack() as opened:
            boards: list[Board] = [TensorBoard(out / BOARD_FOLDER, last_step)]
            opened.callback(boards[0].close)
            if wandb is not None:
                boards.append(
                    WandbBoard(wandb, out, config.name, config.model_dump(mode="json"), goes_on=last_step > 0)
                )
            self._boards = Boards(boards)
            self._curve = LossCurve(out / CURVE_NAME, last_step)
            opened.pop_all()

    def step(self, step: int, report: StepReport, n_skipped: int) -> None:
        """Write a finished step: always a line of the curve, now and then the boards."""
        self._last_step = step
        self._curve.add(step, report)
        if step % self._config.watch.log_every == 0 or step == 1:
            self._boards.scalars(step_scalars(report, n_skipped), step)

    def validation(self, step: int, validation: Validation, example: Example, history: list[dict[str, Any]]) -> None:
        """Write a validation and the list of all so far."""
        self._boards.scalars(validation_scalars(validation), step)
        self._boards.pictures({f"val/{name}": shown for name, shown in example_pictures(example).items()}, step)
        write_atomic(self._out / METRICS_NAME, json.dumps(history, indent=1).encode())

    def flush(self) -> None:
        """Return when the curve is on the disk: a state must not be ahead of it."""
        self._curve.flush()

    def __enter__(self) -> Logbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with writing(self._out, self._last_step), ExitStack() as closing:
                closing.enter_context(self._curve)
                closing.callback(self._boards.close)
        except DataError:
            if error is None:  # else that is told which ended the run: a full disk also lets no board close
                raise


@contextmanager
def writing(out: Path, step: int) -> Iterator[None]:
    """Let a disk that takes no more end the run with one line that says how to go on.

    Raises:
        DataError: the body could not write.
    """
    try:
        yield
    except (OSError, DataError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        raise DataError(
            f"{out} takes no more at step {step} ({cause.strerror or cause}); the states in it are whole: make room, "
            "then go on with --resume"
        ) from error
