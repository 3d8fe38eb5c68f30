"""A whole training run: drives in, a checkpoint directory with its card and TensorBoard files out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from surround_depth.config import dump_config
from surround_depth.errors import ConfigError
from surround_depth.files import write_atomic
from surround_depth.models.checkpoint import CheckpointConfig, load_student, load_weights, save_student
from surround_depth.models.student import Student
from surround_depth.teachers.build import build_teacher
from surround_depth.training.board import Board, example_picture
from surround_depth.training.card import model_card
from surround_depth.training.config import TrainConfig
from surround_depth.training.dataset import Batch, DrawnSamples, training_batches
from surround_depth.training.drives import Drives, open_drives
from surround_depth.training.loop import StepReport, Trainer
from surround_depth.training.provenance import describe_run, read_parent
from surround_depth.training.rendering_record import read_record, require_same_rendering
from surround_depth.training.samples import SamplePreparer, SampleStore
from surround_depth.training.validation import Validation, validate

STUDENT_FOLDER = "student"
BOARD_FOLDER = "tensorboard"
N_BASELINE_SAMPLES = 100

PerPixelMean = Callable[[Iterable[NDArray[np.float32]]], NDArray[np.float32]]


class RunWatcher(Protocol):
    """Told what happens; the command line shows it."""

    def on_step(self, step: int, report: StepReport) -> None:
        """A step has finished (1-based)."""

    def on_validation(self, step: int, validation: Validation) -> None:
        """The running average has been validated and saved."""


@dataclass(frozen=True)
class RunResult:
    """Where the student is, and how good."""

    directory: Path
    validation: Validation


def run_training(
    config: TrainConfig,
    out: Path,
    *,
    watcher: RunWatcher,
    per_pixel_mean: PerPixelMean,
    init: Path | None = None,
    device: str = "cpu",
) -> RunResult:
    """Train as `config` says and return the checkpoint, written at every validation and at the end.

    Args:
        out: receives student/, tensorboard/, resolved.yaml and metrics.json.
        per_pixel_mean: the baseline that never looks at the picture (`evaluation.baseline.per_pixel_mean_m`).
        init: checkpoint directory whose weights the student starts from.
        device: where torch computes, "cpu" or "cuda".

    Raises:
        ConfigError, DataError: the data, the starting weights or the device do not fit.
        SurroundDepthError: a loss is not finite.
    """
    torch.manual_seed(config.seed)
    require_same_rendering(config.data)
    drives = open_drives(config.data)
    student = _start_student(config, init).to(_usable(device))
    write_atomic(out / "resolved.yaml", dump_config(config).encode())
    with Board(out / BOARD_FOLDER) as board:
        run = _Run(config, drives, Trainer(student, config), board, out, per_pixel_mean, _origin(config, drives, init))
        return run.execute(watcher)


def _usable(device: str) -> torch.device:
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device '{device}': torch {torch.__version__} sees no CUDA GPU; use --device cpu")
    return torch.device(device)


def _start_student(config: TrainConfig, init: Path | None) -> Student:
    student = Student(config.student.resolve())
    if init is not None:
        load_weights(student, dict(load_student(init).student.state_dict()), str(init))
    # the memory layout that CPU and GPU convolutions like best; values are the same
    return student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _origin(config: TrainConfig, drives: Drives, init: Path | None) -> dict[str, Any]:
    teacher = build_teacher(config.teacher)
    return describe_run(
        config,
        scenes={"train": [s.name for s in drives.train], "val": [s.name for s in drives.val]},
        dataset_name=drives.dataset.name,
        dataset_licence=drives.dataset.licence,
        teacher=None if teacher is None else (teacher.name, teacher.licence),
        parent=None if init is None else read_parent(init),
        rendering=read_record(Path(config.data.root)),
    )


class _Run:
    """The moving parts of one run."""

    def __init__(
        self,
        config: TrainConfig,
        drives: Drives,
        trainer: Trainer,
        board: Board,
        out: Path,
        per_pixel_mean: PerPixelMean,
        origin: dict[str, Any],
    ) -> None:
        self.config, self.trainer, self.board, self.out, self.origin = config, trainer, board, out, origin
        teacher, cache = build_teacher(config.teacher), config.data.cache
        preparer = SamplePreparer(config.input, teacher)
        sweeps = config.data.lidar_sweeps
        self.train_store = SampleStore(drives.train, preparer, cache=cache, sweeps=sweeps)
        self.coarse_store = None
        if config.coarse is not None:
            coarse = SamplePreparer(config.coarse.input, teacher)
            self.coarse_store = SampleStore(drives.train, coarse, cache=cache, sweeps=sweeps)
        self.val_store = SampleStore(drives.val, preparer, cache=cache)
        self.baseline_m = per_pixel_mean(self._baseline_maps())
        self.device = next(trainer.student.parameters()).device
        self.history: list[dict[str, Any]] = []

    def execute(self, watcher: RunWatcher) -> RunResult:
        watch, optim = self.config.watch, self.config.optim
        validation = None
        for micro_batches in self._steps():
            report = self.trainer.take_step([batch.to(self.device) for batch in micro_batches])
            step = self.trainer.step
            if step % watch.log_every == 0 or step == 1:
                self.board.losses(report.loss, step, lr=report.lr, gradient_norm=report.gradient_norm)
            watcher.on_step(step, report)
            if step % watch.validate_every == 0 or step == optim.steps:
                validation = self._validate_and_save(step)
                watcher.on_validation(step, validation)
        assert validation is not None  # the last step always validates
        return RunResult(self.out / STUDENT_FOLDER, validation)

    def _steps(self) -> Iterator[tuple[Batch, ...]]:
        """Yield the micro-batches of every step: the coarse stage first, where there is one."""
        n_coarse = 0
        if self.coarse_store is not None and self.config.coarse is not None:
            n_coarse = round(self.config.coarse.share * self.config.optim.steps)
            yield from self._stage(self.coarse_store, 0, n_coarse)
        yield from self._stage(self.train_store, n_coarse, self.config.optim.steps)

    def _stage(self, store: SampleStore, first_step: int, last_step: int) -> Iterator[tuple[Batch, ...]]:
        optim = self.config.optim
        draws_per_step = optim.batch_size * optim.accumulation
        loader = training_batches(
            DrawnSamples(store, self.config.augment, self.config.seed),
            first_draw=first_step * draws_per_step,
            n_draws=(last_step - first_step) * draws_per_step,
            batch_size=optim.batch_size,
            n_workers=self.config.data.n_workers,
        )
        return _batched(loader, optim.accumulation)

    def _baseline_maps(self) -> Iterator[NDArray[np.float32]]:
        """Yield the training drives' best true depth [N, H, W]: exact where there is any, else LiDAR."""
        for index in self.train_store.evenly(N_BASELINE_SAMPLES):
            yield from itertools.islice(self.train_store.truths_m(index).values(), 1)

    def _validate_and_save(self, step: int) -> Validation:
        student = self.trainer.average.student
        indices = self.val_store.evenly(self.config.watch.n_val_samples)
        validation, example = validate(student, self.val_store, indices, self.baseline_m)
        self.board.validation(validation, step)
        self.board.picture(example_picture(example), step)
        self.history.append({"step": step} | validation.as_dict())
        write_atomic(self.out / "metrics.json", json.dumps(self.history, indent=1).encode())
        provenance = self.origin | {"step": step, "validation": validation.as_dict()}
        n_parameters = sum(p.numel() for p in student.parameters())
        save_student(
            self.out / STUDENT_FOLDER,
            student,
            CheckpointConfig(student=student.config, input=self.config.input, provenance=provenance),
            model_card(self.config, provenance, validation, step=step, n_parameters=n_parameters),
        )
        return validation


def _batched(batches: Iterable[Batch], n: int) -> Iterator[tuple[Batch, ...]]:
    """Return successive groups of `n` (itertools.batched needs Python 3.12)."""
    iterator = iter(batches)
    while group := tuple(itertools.islice(iterator, n)):
        yield group
