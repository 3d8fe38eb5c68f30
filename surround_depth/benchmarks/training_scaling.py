"""How many samples a second the training step takes: one process, two that share their gradients, or one GPU."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch

from surround_depth.benchmarks.report import Report, Table
from surround_depth.errors import SurroundDepthError
from surround_depth.imaging import InputSpec
from surround_depth.models.presets import Preset
from surround_depth.models.student import Student
from surround_depth.training.config import DataConfig, OptimConfig, StudentChoice, TrainConfig
from surround_depth.training.dataset import Batch
from surround_depth.training.loop import Trainer
from surround_depth.training.process import Precision, start_processes

PACKAGES = ("torch", "accelerate", "surround_depth")
N_CAMERAS = 6
_N_WARM = 2
_TRUE_SHARE = 50  # one pixel in so many has LiDAR


@dataclass(frozen=True)
class Load:
    """What every step of a measurement computes, per process."""

    spec: InputSpec
    preset: Preset
    batch_size: int
    precision: Precision
    device: str


@dataclass(frozen=True)
class StepTimes:
    """The steps of one process, every one with the samples of all processes."""

    n_processes: int
    steps_s: tuple[float, ...]
    peak_memory_gb: float | None  # on a GPU
    utilisation: float | None  # on a GPU: share of the time in which it computed, as its driver counts

    def samples_per_s(self, load: Load) -> float:
        """Return the samples of all processes per second, by the median step."""
        return self.n_processes * load.batch_size / statistics.median(self.steps_s)


def measure(load: Load, n_steps: int) -> StepTimes:
    """Return the times of `n_steps` steps in this process, one of those that the environment names (`torchrun`)."""
    processes = start_processes(load.device, load.precision)
    config = TrainConfig(
        name="scaling",
        input=load.spec,
        student=StudentChoice(preset=load.preset),
        data=DataConfig(root="none"),
        optim=OptimConfig(steps=n_steps + _N_WARM, batch_size=load.batch_size, precision=load.precision),
    )
    torch.manual_seed(0)
    student = Student(config.student.resolve()).to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer(student, config, processes)
    batch = made_up_batch(load.spec, load.batch_size).to(processes.device)
    on_gpu = processes.device.type == "cuda"
    steps_s, busy = [], []
    for _ in range(n_steps + _N_WARM):
        begin_s = time.perf_counter()
        trainer.take_step([batch])  # ends with the losses on the CPU
        if on_gpu:
            torch.cuda.synchronize()
            busy.append(torch.cuda.utilization())
        steps_s.append(time.perf_counter() - begin_s)
    return StepTimes(
        processes.count,
        tuple(steps_s[_N_WARM:]),
        torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
        statistics.mean(busy[_N_WARM:]) / 100.0 if on_gpu else None,
    )


def measure_together(load: Load, n_processes: int, n_steps: int, worker: Path) -> StepTimes:
    """Return the times of `n_processes` processes of one thread each on this machine's CPU (gloo).

    Args:
        worker: a script that calls `measure` with its arguments `H W preset batch_size n_steps` and prints the times.

    Raises:
        SurroundDepthError: one of them failed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(n_processes), "LOCAL_WORLD_SIZE": str(n_processes), "MASTER_ADDR": "127.0.0.1"}
    shared |= {"MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    numbers = [str(n) for n in (load.spec.height_px, load.spec.width_px, load.preset, load.batch_size, n_steps)]
    running = [
        subprocess.Popen(
            [sys.executable, str(worker), "--worker", *numbers],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | shared | ({"RANK": str(rank), "LOCAL_RANK": str(rank)} if n_processes > 1 else {}),
        )
        for rank in range(n_processes)
    ]
    return StepTimes(n_processes, tuple(map(float, _answers(running)[0].split())), None, None)


def _answers(running: list[subprocess.Popen[str]]) -> list[str]:
    """Return what each process printed; when one fails, end the others, which would wait for it for hours."""
    with ThreadPoolExecutor(len(running)) as pool:
        talks = {pool.submit(process.communicate): process for process in running}
        for talk in as_completed(talks):
            if status := talks[talk].returncode:
                for process in running:
                    process.kill()
                lines = talk.result()[1].strip().splitlines() or [f"exit status {status}"]
                raise SurroundDepthError(f"a process of the benchmark failed: {lines[-1]}")
    return [talk.result()[0] for talk in talks]


def made_up_batch(spec: InputSpec, batch_size: int) -> Batch:
    """Return noise in the form of a batch: a step takes as long whatever it sees."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, N_CAMERAS, spec.height_px, spec.width_px)
    rays = torch.randn(*shape[:2], spec.height_px // 8, spec.width_px // 8, 3, generator=generator)
    rays[..., 2] = rays[..., 2].abs() + 1.0
    n_pixels = batch_size * N_CAMERAS * spec.height_px * spec.width_px
    index = torch.arange(0, n_pixels, _TRUE_SHARE)
    return Batch(
        sample_ids=tuple(f"made-up/{i}" for i in range(batch_size)),
        images=torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=generator),
        rays=torch.nn.functional.normalize(rays, dim=-1),
        T_ego_cam=torch.eye(4).expand(*shape[:2], 4, 4).contiguous(),
        camera_valid=torch.ones(shape[:2]),
        masks=torch.full(shape, 2, dtype=torch.uint8),  # the teacher has something to say everywhere
        lidar_index=index,
        lidar_depth_m=torch.rand(len(index), generator=generator) * 50.0 + 2.0,
        relative=torch.rand(shape, generator=generator).half(),
        neighbours=torch.full((*shape[:2], 2), -1),
        metric_range=torch.full((*shape[:2], 2), torch.nan),
    )


def scaling_report(load: Load, times: list[StepTimes]) -> Report:
    """Return the table; ratios are to the first entry."""
    rates = [one.samples_per_s(load) for one in times]
    rows = []
    for one, rate in zip(times, rates, strict=True):
        memory = "" if one.peak_memory_gb is None else f"{one.peak_memory_gb:.1f}"
        busy = "" if one.utilisation is None else f"{one.utilisation:.0%}"
        step_ms = 1e3 * statistics.median(one.steps_s)
        rows.append((str(one.n_processes), f"{step_ms:.0f}", f"{rate:.2f}", f"{rate / rates[0]:.2f}", memory, busy))
    head = ("processes", "step ms", "samples/s", "ratio", "peak memory GB", "utilisation")
    what = (
        f"The training step of `{load.preset}` ({load.precision}, {load.device}) on {N_CAMERAS} x "
        f"{load.spec.height_px} x {load.spec.width_px}, {load.batch_size} sample(s) per process: forward, losses, "
        "backward, gradients shared, clipped, AdamW, running average. The batch is made up and in memory; nothing is "
        f"loaded. Median of {len(times[0].steps_s)} steps, all in one run; CPU processes have one thread each."
    )
    figures = {
        "processes": [one.n_processes for one in times],
        "steps_s": [list(one.steps_s) for one in times],
        "samples_per_s": rates,
    }
    return Report("training-scaling", "Training: samples per second", (what, Table(head, tuple(rows))), figures)
