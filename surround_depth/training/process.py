"""The processes of one run, from one on a laptop to many on many machines. Owns accelerate here.

`torchrun` starts them; with one process nothing below talks to anyone. What goes wrong on one of them ends all.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    GradientAccumulationPlugin,
    InitProcessGroupKwargs,
    broadcast_object_list,
    gather_object,
)
from torch import Tensor, nn

from surround_depth.errors import ConfigError, SurroundDepthError
from surround_depth.models.student import Student

Precision = Literal["fp32", "bf16", "fp16"]
_MIXED: dict[Precision, str] = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
_PATIENCE = timedelta(hours=2)  # how long the others wait while one renders, validates or writes


_FAREWELL_S = 10.0  # for the main process to close its boards and to say why the run ends


class PeerError(SurroundDepthError):
    """Another process of the run has failed; the main process raises the error itself, so that it is read once."""


class Processes:
    """What one process of a run needs to know and to do about the others."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.device: torch.device = accelerator.device
        self.count: int = accelerator.num_processes
        self.rank: int = accelerator.process_index
        self.is_main: bool = accelerator.is_main_process

    def share_gradients(self, student: Student) -> nn.Module:
        """Return the module to call in training: mixed precision, and gradients that are the mean over all processes.

        The student itself keeps its parameters, and their names. Batch norm sees the samples of all GPUs; on CPUs, for
        which torch has no such norm, all take over the statistics of the main process.
        """
        if self.count > 1:
            together = self.device.type == "cuda"
            if together:
                nn.SyncBatchNorm.convert_sync_batchnorm(student)
            self.accelerator.ddp_handler = DistributedDataParallelKwargs(
                broadcast_buffers=not together, find_unused_parameters=bool(_idle_parameters(student))
            )
        prepared: nn.Module = self.accelerator.prepare_model(student)
        return prepared

    def local_gradients(self, module: nn.Module, *, when: bool) -> AbstractContextManager[Any]:
        """Return a context in which gradients stay in this process `when` another micro-batch follows."""
        context: AbstractContextManager[Any] = self.accelerator.no_sync(module) if when else nullcontext()
        return context

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor of one shape over all processes."""
        if self.count == 1:
            return values
        mean: Tensor = self.accelerator.reduce(values, "mean")
        return mean

    def gathered(self, value: Any) -> list[Any]:
        """Return every process's `value`, by rank."""
        if self.count == 1:
            return [value]
        return list(gather_object([value]))

    def from_main(self, value: Any) -> Any:
        """Return the main process's `value`."""
        if self.count == 1:
            return value
        return broadcast_object_list([value])[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run the body; leave it only when all processes have done theirs, and raise on all when it failed on one.

        Raises:
            SurroundDepthError: what the body raised; the main process raises the first error of another.
            PeerError: another process failed and the main process says how.
        """
        own: SurroundDepthError | None = None
        try:
            yield
        except SurroundDepthError as error:
            own = error
        if self.count == 1:
            if own is not None:
                raise own
            return
        failed = torch.tensor(float(own is not None), device=self.device)
        if float(self.mean(failed)) == 0.0:
            return
        messages = [message for message in self.gathered(None if own is None else str(own)) if message is not None]
        if not self.is_main:
            raise PeerError(messages[0]) from own
        raise own or SurroundDepthError(messages[0])

    def let_main_speak(self) -> None:
        """Wait, after a `PeerError`, until the main process has said why: as soon as one ends, torchrun ends all."""
        if "TORCHELASTIC_RUN_ID" in os.environ:
            time.sleep(_FAREWELL_S)

    def part(self) -> None:
        """Close the connections to the others, who do the same: the last thing of a program that went well."""
        self.accelerator.end_training()


def start_processes(device: str, precision: Precision) -> Processes:
    """Return this process's part of the run that `torchrun` started, or of a run of its own.

    Args:
        device: "cpu" or "cuda"; with several processes on a machine each has the GPU of its local rank.

    Raises:
        ConfigError: the device is not there, or cannot compute in `precision`.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device '{device}': torch {torch.__version__} sees no CUDA GPU; use --device cpu")
    if precision == "fp16" and device == "cpu":
        raise ConfigError("optim.precision: fp16 needs a GPU (--device cuda); on the CPU choose bf16 or fp32")
    if precision == "bf16" and device.startswith("cuda") and not torch.cuda.is_bf16_supported():
        raise ConfigError("optim.precision: this GPU has no bf16; choose fp16 or fp32")
    cpu, mixed = device == "cpu", _MIXED[precision]
    _forget_other_settings(cpu, mixed)
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision=mixed,
        # said here, or a variable of the environment decides: `Trainer` divides and synchronises itself
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )
    return Processes(accelerator)


def _forget_other_settings(cpu: bool, mixed: str) -> None:
    """Let a second run in one interpreter have its own precision and device: accelerate keeps the first one's."""
    state = AcceleratorState._shared_state
    if state and (state["_cpu"], state["_mixed_precision"]) != (cpu, mixed):
        AcceleratorState._reset_state(reset_partial_state=True)


def _idle_parameters(student: Student) -> list[str]:
    """Return the parameters that no output depends on, as some backbones have; nobody waits for their gradients."""
    probe = copy.deepcopy(student).eval()
    device = probe.pixel_mean.device
    rays = torch.nn.functional.normalize(torch.ones(1, 2, 8, 8, 3, device=device), dim=-1)
    poses = torch.eye(4, device=device).expand(1, 2, 4, 4)
    images = torch.zeros(1, 2, 64, 64, 3, dtype=torch.uint8, device=device)
    output = probe(images, rays, poses, torch.ones(1, 2, device=device))
    (output.depth_m.sum() + output.confidence_logit.sum()).backward()
    return [name for name, parameter in probe.named_parameters() if parameter.requires_grad and parameter.grad is None]
