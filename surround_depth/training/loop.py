"""One optimisation step, and nothing else: forward, losses, backward, clip, move, average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from surround_depth.errors import SurroundDepthError
from surround_depth.losses.build import LossReport, training_loss
from surround_depth.models.student import Student
from surround_depth.training.config import TrainConfig
from surround_depth.training.dataset import Batch
from surround_depth.training.schedule import WeightAverage, build_optimizer, one_cycle, set_learning_rate, settle_norms
from surround_depth.training.targets import make_targets


@dataclass(frozen=True)
class StepReport:
    """What one step did."""

    loss: LossReport  # of the last micro-batch
    lr: float
    gradient_norm: float  # before clipping


class Trainer:
    """A student with its optimiser, schedule and running average. `step` counts finished steps."""

    def __init__(self, student: Student, config: TrainConfig) -> None:
        self.student = student.train()
        self.config = config
        self.optimizer = build_optimizer(student, config.optim)
        self.average = WeightAverage(student, config.optim.ema_decay)
        self.step = 0

    def take_step(self, micro_batches: Sequence[Batch]) -> StepReport:
        """Move the student by one step on the mean loss of the micro-batches.

        Raises:
            SurroundDepthError: the loss or the gradient is not finite; the samples are named, and the student (weights
                and norm statistics) is as it was before the step.
        """
        optim = self.config.optim
        progress = self.step / optim.steps
        if progress >= 1.0 - optim.settle:
            settle_norms(self.student)
        factor = one_cycle(progress, optim.warmup)
        set_learning_rate(self.optimizer, factor)
        self.optimizer.zero_grad(set_to_none=True)
        buffers = [buffer.clone() for buffer in self.student.buffers()]  # the forward pass alone moves norm statistics
        for batch in micro_batches:
            report = self._loss(batch, progress)
            if not torch.isfinite(report.total):
                self._restore(buffers)
                raise self._diverged("the loss", report, [batch])
            (report.total / len(micro_batches)).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), optim.clip_norm)
        if not torch.isfinite(norm):
            self._restore(buffers)
            raise self._diverged("the gradient", report, micro_batches)
        self.optimizer.step()
        self.step += 1
        self.average.update(self.student, self.step)
        return StepReport(report, optim.lr * factor, float(norm))

    def _loss(self, batch: Batch, progress: float) -> LossReport:
        output = self.student(batch.images, batch.rays, batch.T_ego_cam, batch.camera_valid)
        bins = self.student.config.bins
        targets = make_targets(batch, bins)
        return training_loss(output, targets, self.config.loss, max_depth_m=bins.max_depth_m, progress=progress)

    @torch.no_grad()
    def _restore(self, buffers: Sequence[Tensor]) -> None:
        for buffer, before in zip(self.student.buffers(), buffers, strict=True):
            buffer.copy_(before)

    def _diverged(self, what: str, report: LossReport, batches: Sequence[Batch]) -> SurroundDepthError:
        samples = ", ".join(name for batch in batches for name in batch.sample_ids)
        terms = ", ".join(f"{name} {float(term.value.detach()):.4g}" for name, term in report.terms.items())
        return SurroundDepthError(
            f"step {self.step}: {what} is not finite on sample {samples} ({terms}); "
            "look at that sample, or lower optim.lr"
        )
