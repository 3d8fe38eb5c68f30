"""One optimisation step, and nothing else: forward, losses, backward, clip, move, average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, nn

from surround_depth.errors import SurroundDepthError
from surround_depth.losses.adapters import Adapters
from surround_depth.losses.build import LossReport, training_loss
from surround_depth.losses.masked import Term
from surround_depth.models.student import Student
from surround_depth.training.blame import blame
from surround_depth.training.config import TrainConfig
from surround_depth.training.dataset import Batch
from surround_depth.training.process import Processes
from surround_depth.training.schedule import (
    WeightAverage,
    build_optimizer,
    learning_rate_factor,
    set_learning_rate,
    settle_norms,
)
from surround_depth.training.targets import make_targets

COMPILE_BACKEND = "inductor"
_SMALLEST_SCALE = 1.0  # fp16 that overflows without any scaling is no matter of the scale


@dataclass(frozen=True)
class StepReport:
    """What one step did."""

    loss: LossReport
    """Means over all micro-batches of all processes (a term with a count of 0 counts as 0); counts are sums."""
    lr: float
    gradient_norm: float
    """Before clipping; infinite where the step was skipped."""
    skipped: bool = False
    """fp16 only: the gradient overflowed, the weights stayed and the scale was halved."""


class Trainer:
    """A student with its optimiser, schedule and running average. `step` counts finished steps.

    Args:
        adapters: what the losses learn beside the student; None where they learn nothing.
    """

    def __init__(
        self, student: Student, config: TrainConfig, processes: Processes, adapters: Adapters | None = None
    ) -> None:
        self.config, self.processes, self.adapters = config, processes, adapters
        self.average = WeightAverage(student, config.optim.ema_decay)
        self._shared = processes.share_gradients(student.train())
        if config.optim.compile:
            student.compile(backend=COMPILE_BACKEND)  # in place: the weights keep their names
        self.student = student
        beside = () if adapters is None else tuple(adapters.parameters())
        self.optimizer = build_optimizer(student, config.optim, beside)
        self._beside = beside
        self._scaled = processes.accelerator.prepare_optimizer(self.optimizer)
        self.step = 0
        self.n_skipped = 0

    def take_step(self, micro_batches: Sequence[Batch]) -> StepReport:
        """Move the student by one step on the mean loss of the micro-batches of all processes.

        Raises:
            SurroundDepthError: the loss or the gradient is not finite; the samples are named, and the student (weights
                and norm statistics) is as it was before the step.
        """
        optim, accelerator = self.config.optim, self.processes.accelerator
        progress = self.step / optim.steps
        if progress >= 1.0 - optim.settle:
            settle_norms(self.student)
        factor = learning_rate_factor(optim, progress)
        set_learning_rate(self.optimizer, factor)
        self.optimizer.zero_grad(set_to_none=True)
        buffers = [buffer.clone() for buffer in self.student.buffers()]  # the forward pass alone moves norm statistics
        reports = []
        for n_done, batch in enumerate(micro_batches, start=1):
            with self.processes.local_gradients(self._shared, when=n_done < len(micro_batches)):
                reports.append(self._loss(batch, progress, self._shared))
                accelerator.backward(reports[-1].total / len(micro_batches))
        self._share_gradients_beside()
        learning = (*self.student.parameters(), *self._beside)
        norm = float(accelerator.clip_grad_norm_(learning, optim.clip_norm))
        report = self._pooled(reports)
        if not torch.isfinite(report.total):
            self._give_up("the loss", report, micro_batches, buffers)
        if not math.isfinite(norm) and not self._scale_can_fall():
            self._give_up("the gradient", report, micro_batches, buffers)
        self._scaled.step()
        self.step += 1
        skipped = bool(self._scaled.step_was_skipped)
        self.n_skipped += skipped
        self.average.update(self.student, self.step)
        return StepReport(report, optim.lr * factor, norm, skipped)

    def _loss(self, batch: Batch, progress: float, module: nn.Module) -> LossReport:
        """Return the losses, in float32: the mixed precision ends with the forward pass of `module`."""
        output = module(batch.images, batch.rays, batch.T_ego_cam, batch.camera_valid)
        bins = self.student.config.bins
        targets = make_targets(batch, bins, self.config.teacher.alignment)
        return training_loss(output, targets, self.config.loss, bins=bins, progress=progress, adapters=self.adapters)

    @torch.no_grad()
    def _share_gradients_beside(self) -> None:
        """Give the adapters the mean of all processes' gradients: they lie outside the module that does so itself."""
        if not self._beside or self.processes.count == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._beside]
        mean = self.processes.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for parameter, part in zip(self._beside, mean.split([p.numel() for p in self._beside]), strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def _pooled(self, reports: Sequence[LossReport]) -> LossReport:
        """Return the mean of the micro-batches of all processes, on the CPU: one transfer, however many terms."""
        names = list(reports[0].terms)
        rows = [torch.stack([number.detach().double() for number in _numbers(report)]) for report in reports]
        n_batches = len(reports) * self.processes.count
        mean = self.processes.mean(torch.stack(rows).mean(dim=0)).cpu()
        values, counts = mean[1 : len(names) + 1], mean[len(names) + 1 :] * n_batches
        terms = {name: Term(*pair) for name, *pair in zip(names, values, counts, strict=True)}
        return LossReport(mean[0], terms)

    def _scale_can_fall(self) -> bool:
        """Return whether an infinite gradient only says that fp16's loss scale was too large."""
        scaler = self.processes.accelerator.scaler
        return scaler is not None and scaler.get_scale() > _SMALLEST_SCALE

    def _give_up(self, what: str, report: LossReport, batches: Sequence[Batch], buffers: Sequence[Tensor]) -> NoReturn:
        """Undo what the step did to the student and raise the error that names the samples, of all processes."""
        self._restore(buffers)
        self.student.eval()  # every process on its own, and no norm moves
        culprits = blame(batches, lambda one: self._loss(one, self.step / self.config.optim.steps, self.student))
        self.student.train()
        named = _joined(self.processes.gathered(culprits))
        everyone = _joined(self.processes.gathered([name for batch in batches for name in batch.sample_ids]))
        terms = ", ".join(f"{name} {float(term.value):.4g}" for name, term in report.terms.items())
        message = f"step {self.step}: {what} is not finite on sample {named or everyone} ({terms})"
        with self.processes.together():
            raise SurroundDepthError(f"{message}; look at that sample, or lower optim.lr")

    @torch.no_grad()
    def _restore(self, buffers: Sequence[Tensor]) -> None:
        for buffer, before in zip(self.student.buffers(), buffers, strict=True):
            buffer.copy_(before)


def _numbers(report: LossReport) -> list[Tensor]:
    terms = report.terms.values()
    return [report.total, *(term.value for term in terms), *(term.count for term in terms)]


def _joined(names_by_process: Sequence[Sequence[str]]) -> str:
    return ", ".join(name for names in names_by_process for name in names)
