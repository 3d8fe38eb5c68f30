"""A whole training run: drives in, a checkpoint directory with its card, curve and TensorBoard files out.

It leaves states on its way (`training.state`), from which a run that was killed goes on as if nothing had happened: on
the CPU to the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from surround_depth.config import dump_config
from surround_depth.errors import ConfigError
from surround_depth.files import write_atomic
from surround_depth.losses.adapters import Adapters
from surround_depth.losses.build import needs_adapters, needs_features
from surround_depth.models.checkpoint import CONFIG_NAME as CHECKPOINT_CONFIG
from surround_depth.models.checkpoint import CheckpointConfig, load_student, load_weights, save_student
from surround_depth.models.student import Student
from surround_depth.training.card import model_card
from surround_depth.training.config import TrainConfig
from surround_depth.training.dataset import Batch
from surround_depth.training.drives import Drives, describe_set, open_drives
from surround_depth.training.folder import CONFIG_NAME, STATE_FOLDER, STUDENT_FOLDER, alone_in, claim_folder, way_on
from surround_depth.training.held_out import PerPixelMean, ValidationSet, validation_sets
from surround_depth.training.label_task import labels_ahead
from surround_depth.training.logbook import Logbook, writing
from surround_depth.training.loop import StepReport, Trainer
from surround_depth.training.process import Processes, start_processes
from surround_depth.training.provenance import run_origin
from surround_depth.training.rendering_record import require_same_rendering
from surround_depth.training.resume import (
    Progress,
    require_same_run,
    restore,
    state_facts,
    state_tensors,
)
from surround_depth.training.rng import rng_states, seed_generators
from surround_depth.training.samples import SamplePreparer
from surround_depth.training.stages import Stages, open_stages
from surround_depth.training.state import StoredState, save_state
from surround_depth.training.student_teacher import open_teacher
from surround_depth.training.validation import Validation, validate


class RunWatcher(Protocol):
    """Told what happens, on the main process; the command line shows it."""

    def on_step(self, step: int, report: StepReport) -> None:
        """A step has finished (1-based)."""

    def on_validation(self, step: int, validation: Validation) -> None:
        """The running average has been validated and saved."""

    def on_notice(self, text: str) -> None:
        """Something a person should know, in one line: where a run goes on, a state that is damaged."""


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
    resume: bool = False,
    wandb: str | None = None,
) -> RunResult:
    """Train as `config` says and return the checkpoint, written at every validation and at the end.

    Args:
        out: receives student/, state/, tensorboard/, loss_curve.jsonl, resolved.yaml and metrics.json.
        per_pixel_mean: the baseline that never looks at the picture (`evaluation.baseline.per_pixel_mean_m`).
        init: checkpoint directory whose weights the student starts from; a resumed run has its own.
        device: where torch computes, "cpu" or "cuda".
        resume: go on from the newest state in `out`.
        wandb: a project of Weights & Biases that gets scalars and pictures too.

    Raises:
        ConfigError, DataError: the data, the starting weights, the states or the device do not fit; `out` holds the
            states of a run and `resume` is not asked for; the disk is full.
        SurroundDepthError: a loss is not finite.
    """
    processes = start_processes(device, config.optim.precision)
    with processes.together():
        require_same_rendering(config.data)
        drives = open_drives(config.data)
        seed_generators(config.seed)
        student = _start_student(config, init).to(processes.device)
        teacher = open_teacher(config.teacher, required=labels_ahead(config))
        stages = open_stages(config, drives, teacher, rank=processes.rank, n_processes=processes.count)
        adapters = open_adapters(config, student, stages)
    trainer = Trainer(student, config, processes, adapters)
    seed_generators(config.seed + processes.rank)  # drop-out, where an encoder has any, differs between processes
    with ExitStack() as closing:
        origin: dict[str, Any] = {}
        state: StoredState | None = None
        with processes.together():
            if processes.is_main:
                closing.enter_context(alone_in(out))
                origin = run_origin(config, drives, teacher, init)
                state = claim_folder(out, watcher.on_notice, resume=resume)
                if state is not None:
                    require_same_run(state, config, origin, processes.count)
                    watcher.on_notice(way_on(state.step, config.optim.steps))
                watcher.on_notice(_summary(config, drives, processes))
        state = processes.from_main(state)
        with processes.together():
            if state is not None:
                restore(state, trainer)
        run = _Run(config, drives, stages, trainer, _progress(origin, state), out, watcher)
        with processes.together():
            run.open(per_pixel_mean, wandb, closing)
        return run.execute()


def _summary(config: TrainConfig, drives: Drives, processes: Processes) -> str:
    """Return one line that says what trains on what."""
    size = f"{config.input.height_px}x{config.input.width_px}"
    where = f"{processes.count} x {processes.device.type}, {config.optim.precision}, seed {config.seed}"
    return f"{config.student.preset} at {size}, {where}; " + "; ".join(map(describe_set, drives.sets))


def _start_student(config: TrainConfig, init: Path | None) -> Student:
    student = Student(config.student.resolve())
    if init is not None:
        start = load_student(init).student
        _require_same_pixels(start, student, init)
        load_weights(student, dict(start.state_dict()), str(init))
    # the memory layout that CPU and GPU convolutions like best; values are the same
    return student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _require_same_pixels(start: Student, student: Student, init: Path) -> None:
    """Refuse weights that were trained on pixels of other statistics: they would fit, and see another picture."""
    theirs, ours = ((one.encoder.pixel_mean, one.encoder.pixel_std) for one in (start, student))
    if theirs != ours:
        raise ConfigError(
            f"--init {init}: its encoder was trained on pixels of mean {list(theirs[0])} and deviation "
            f"{list(theirs[1])}, this student's are {list(ours[0])} and {list(ours[1])}; give the configuration the "
            f"student.encoder of {init / CHECKPOINT_CONFIG}"
        )


def open_adapters(config: TrainConfig, student: Student, stages: Stages) -> Adapters | None:
    """Return what the losses learn beside the student, on its device; None where they learn nothing."""
    if not needs_adapters(config.loss):
        return None
    teacher_channels = stages.teacher_channels() if needs_features(config.loss) else None
    seed_generators(config.seed)  # a teacher that loads draws numbers, one whose labels are kept does not
    adapters = Adapters(
        config.loss,
        student_channels=student.config.decoder_channels[2],
        teacher_channels=teacher_channels,
        n_bins=student.config.bins.n_bins,
    )
    return adapters.to(next(student.parameters()).device)


def _progress(origin: dict[str, Any], state: StoredState | None) -> Progress:
    if state is None:
        return Progress(origin)
    first = state.facts["origin"]
    resumption = {"step": state.step, "commit": origin["commit"], "command": origin["command"]}
    return Progress(first | {"resumed": [*first.get("resumed", []), resumption]}, state.facts["history"])


class _Run:
    """The moving parts of one run, in one of its processes."""

    def __init__(
        self,
        config: TrainConfig,
        drives: Drives,
        stages: Stages,
        trainer: Trainer,
        progress: Progress,
        out: Path,
        watcher: RunWatcher,
    ) -> None:
        self.config, self.drives, self.stages, self.trainer, self.progress = config, drives, stages, trainer, progress
        self.out, self.watcher = out, watcher
        self.processes: Processes = trainer.processes
        self.validation: Validation | None = None

    def open(self, per_pixel_mean: PerPixelMean, wandb: str | None, closing: ExitStack) -> None:
        """Open, on the main process, the held-out samples and the files; `closing` closes them."""
        if self.processes.is_main:
            self.watcher.on_notice("reading the held-out samples, and the training drives' mean depth beside them")
            self.held_out = self._held_out(per_pixel_mean)
            with writing(self.out, self.trainer.step):
                write_atomic(self.out / CONFIG_NAME, dump_config(self.config).encode())
                self.logbook = closing.enter_context(Logbook(self.config, self.out, self.trainer.step, wandb))

    def _held_out(self, per_pixel_mean: PerPixelMean) -> tuple[ValidationSet, ...]:
        preparer = SamplePreparer(self.config.input, None)  # students are judged by truth, not by what teachers say
        n_samples, cache = self.config.watch.n_val_samples, self.config.data.cache
        return validation_sets(self.drives, preparer, per_pixel_mean, n_samples, cache=cache)

    def execute(self) -> RunResult:
        """Take the steps that are left; return the checkpoint."""
        watch, steps = self.config.watch, self.config.optim.steps
        finished = self.trainer.step == steps
        if self.trainer.step == 0:
            self._save()  # a run can go on from its beginning too, and a disk that takes no state is known at once
        for micro_batches in self._fetched():
            report = self.trainer.take_step(micro_batches)
            step = self.trainer.step
            validates = step % watch.validate_every == 0 or step == steps
            with self.processes.together():
                if self.processes.is_main:
                    self._record(step, report, validates=validates)
            if validates or step % watch.save_every == 0:
                self._save()
        if finished:  # the state was the last one: only what it led to may be missing
            with self.processes.together():
                if self.processes.is_main:
                    self._validate(self.trainer.step)
        validation: Validation = self.processes.from_main(self.validation)
        return RunResult(self.out / STUDENT_FOLDER, validation)

    def _fetched(self) -> Iterator[list[Batch]]:
        """Yield the micro-batches of every step that is left, on the device, when every process has its own."""
        coming = self.stages.after(self.trainer.step)
        while self.trainer.step < self.config.optim.steps:
            with self.processes.together():
                micro_batches = [batch.to(self.processes.device) for batch in next(coming)]
            yield micro_batches

    def _record(self, step: int, report: StepReport, *, validates: bool) -> None:
        with writing(self.out, step):
            self.logbook.step(step, report, self.trainer.n_skipped)
        self.watcher.on_step(step, report)
        if validates:
            self._validate(step)

    def _validate(self, step: int) -> None:
        """Judge the running average and write it as the student."""
        student, progress = self.trainer.average.student, self.progress
        self.validation, example = validate(student, self.held_out)
        earlier = [entry for entry in progress.history if entry["step"] < step]
        progress.history = [*earlier, {"step": step} | self.validation.as_dict()]
        provenance = progress.origin | {"step": step, "validation": self.validation.as_dict()}
        n_parameters = sum(p.numel() for p in student.parameters())
        with writing(self.out, step):
            self.logbook.validation(step, self.validation, example, progress.history)
            save_student(
                self.out / STUDENT_FOLDER,
                student,
                CheckpointConfig(student=student.config, input=self.config.input, provenance=provenance),
                model_card(self.config, provenance, self.validation, step=step, n_parameters=n_parameters),
            )
        self.watcher.on_validation(step, self.validation)

    def _save(self) -> None:
        """Write the state of the run."""
        generators = self.processes.gathered(rng_states())
        with self.processes.together():
            if self.processes.is_main:
                trainer, step = self.trainer, self.trainer.step
                facts = state_facts(self.config, trainer, self.progress)
                with writing(self.out, step):
                    self.logbook.flush()
                    folder, keep = self.out / STATE_FOLDER, self.config.watch.keep_states
                    save_state(folder, step, state_tensors(trainer, generators), facts, keep=keep)
