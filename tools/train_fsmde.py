"""Train (distil) a multi-camera student, on one device or on many.

    python tools/train_fsmde.py --config synthetic_demo
    python tools/train_fsmde.py --config synthetic_demo --init out/train/synthetic_demo/student --set optim.steps=300
    torchrun --standalone --nproc_per_node=8 tools/train_fsmde.py --config nuscenes_r18 --device cuda
    python tools/train_fsmde.py --resume --out out/train/synthetic_demo

Leaves OUT/student (model.safetensors, config.json, README.md), OUT/state (what --resume goes on from),
OUT/loss_curve.jsonl, OUT/tensorboard, OUT/metrics.json and OUT/resolved.yaml. Before a long run, try --dry-run.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from surround_depth.errors import EXIT_USER_ERROR, ConfigError, run_cli

if TYPE_CHECKING:
    from tqdm import tqdm

    from surround_depth.training.config import TrainConfig
    from surround_depth.training.loop import StepReport
    from surround_depth.training.run import RunResult
    from surround_depth.training.validation import Validation

BY_HEART = 0.1
"""AbsRel on a few samples that a student which can learn falls below."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="name of a shipped training config, or a YAML file (--resume takes OUT's own)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="repeatable; a list is [A, B]")
    parser.add_argument("--init", type=Path, metavar="DIR", help="checkpoint to start from (default: random weights)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: out/train/CONFIG-NAME")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads for torch (default: its own choice)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where torch computes (default: cpu)")
    parser.add_argument("--wandb", metavar="PROJECT", help="show the run in Weights & Biases too (needs wandb)")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--resume", action="store_true", help="go on from the newest state in OUT")
    way.add_argument("--dry-run", action="store_true", help="two steps of everything, in a folder that is deleted")
    way.add_argument("--overfit", type=int, metavar="N", help="learn N samples by heart: can the student learn at all?")
    return parser.parse_args()


class TerminalWatcher:
    """A progress bar with the time left, from the first step on, and one line per validation or notice."""

    def __init__(self, n_steps: int) -> None:
        self._n_steps = n_steps
        self._bar: tqdm[NoReturn] | None = None
        self.losses: list[float] = []

    def on_step(self, step: int, report: StepReport) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=self._n_steps, initial=step - 1, unit="step", dynamic_ncols=True, mininterval=1.0)
        self._bar.update(1)
        self.losses.append(float(report.loss.total))
        if step % 10 == 0:
            self._bar.set_postfix(loss=f"{self.losses[-1]:.3f}", lr=f"{report.lr:.1e}")

    def on_validation(self, step: int, validation: Validation) -> None:
        self.on_notice(f"step {step}: {abs_rel_line(validation)}")

    def on_notice(self, text: str) -> None:
        (print if self._bar is None else self._bar.write)(text)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def abs_rel_line(validation: Validation) -> str:
    """Return what was measured, each beside the mean of the training drives where they have one."""
    pairs = {
        "exact": (validation.dense, validation.baseline_dense),
        "LiDAR": (validation.lidar, validation.baseline_lidar),
    }
    found = [
        f"{student.abs_rel:.3f} {truth}" + (f" (training mean: {mean.abs_rel:.3f})" if mean.n_pixels else "")
        for truth, (student, mean) in pairs.items()
        if student.n_pixels
    ]
    return f"AbsRel {', '.join(found)}" if found else "no truth to validate on"


def read_config(arguments: argparse.Namespace) -> TrainConfig:
    """Return the configuration that the command line means."""
    from surround_depth.config import load_config
    from surround_depth.training.config import TrainConfig
    from surround_depth.training.folder import CONFIG_NAME

    if arguments.resume and arguments.init is not None:
        raise ConfigError("--resume goes on with the weights of OUT's state; leave --init out")
    source = arguments.config
    if source is None and arguments.resume and arguments.out is not None:
        source = arguments.out / CONFIG_NAME
    if source is None:
        raise ConfigError("give --config NAME, or --resume with --out OUT to go on with OUT's own")
    config = load_config(TrainConfig, source, arguments.set)
    if not arguments.dry_run and arguments.overfit is None:
        return config
    from surround_depth.training.rehearsal import dry_run, overfit

    return dry_run(config) if arguments.dry_run else overfit(config, arguments.overfit)


def render(config: TrainConfig) -> None:
    """Make the synthetic trees that the config asks for and that are not there."""
    from tqdm import tqdm

    from surround_depth.training.rendering import missing_trees, render_missing

    for one in missing_trees(config.data):
        with tqdm(total=one.rendering.n_drives, unit="drive", desc=f"rendering {one.root}") as bar:
            render_missing(Path(one.root), one.rendering, lambda name, bar=bar: bar.update(1))


def train(
    config: TrainConfig, out: Path, arguments: argparse.Namespace, *, resume: bool
) -> tuple[RunResult, list[float]]:
    """Run the training; return what came of it and the loss of every step, which only the main process sees."""
    from surround_depth.evaluation.baseline import per_pixel_mean_m
    from surround_depth.training.run import run_training

    watcher = TerminalWatcher(config.optim.steps)
    try:
        result = run_training(
            config,
            out,
            watcher=watcher,
            per_pixel_mean=per_pixel_mean_m,
            init=arguments.init,
            device=arguments.device,
            resume=resume,
            wandb=arguments.wandb,
        )
    finally:
        watcher.close()
    return result, watcher.losses


def rehearse(config: TrainConfig, arguments: argparse.Namespace) -> list[str]:
    """Train two steps in a folder of their own, then go on from the state they left; return what to print."""
    with tempfile.TemporaryDirectory(prefix="dry-run-") as folder:
        for resume in (False, True):
            train(config, Path(folder), arguments, resume=resume)
    passed = f"dry run passed: {config.optim.steps} steps of {config.name}, validation, export, state and resume"
    return [passed, f"most memory at once: {peak_memory(arguments.device)}"]


def peak_memory(device: str) -> str:
    """Return the most memory that this process has held, and on a GPU what torch held there."""
    import resource

    import torch

    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    on_gpu = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB on the GPU" if device == "cuda" else ""
    return f"{gib:.1f} GiB{on_gpu}"


def full_run(config: TrainConfig, arguments: argparse.Namespace) -> list[str]:
    """Train; return what to print."""
    result, losses = train(config, out_of(config, arguments), arguments, resume=arguments.resume)
    student = result.directory
    lines = [f"student: {student}"]
    if arguments.overfit is not None and losses:
        loss = f"loss: {losses[0]:.3f} at the first step, {losses[-1]:.3f} at the last"
        return [*lines, loss, by_heart(result.validation)]
    return [*lines, f"next: python deploy/build_engine.py --checkpoint {student} --out build/student"]


def out_of(config: TrainConfig, arguments: argparse.Namespace) -> Path:
    """Return the folder of the run."""
    return arguments.out or Path("out/train") / config.name


def by_heart(validation: Validation) -> str:
    """Say whether a student has learnt its few samples. Their mean depth is no measure: of one sample it is perfect."""
    found = validation.headline
    if not math.isfinite(found):
        return "by heart? these samples have no truth to tell by"
    verdict = "it can learn them" if found < BY_HEART else "not learnt: give it more steps, or look for the fault"
    return f"by heart? AbsRel {found:.3f} on what it learnt, below {BY_HEART:.2f} is asked: {verdict}"


def main() -> int:
    arguments = parse_arguments()
    import torch

    from surround_depth.training.folder import require_startable
    from surround_depth.training.process import PeerError, start_processes

    config = read_config(arguments)
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    processes = start_processes(arguments.device, config.optim.precision)
    try:
        with processes.together():
            if processes.is_main:
                if not arguments.dry_run:
                    require_startable(config, out_of(config, arguments), resume=arguments.resume)
                render(config)
        lines = rehearse(config, arguments) if arguments.dry_run else full_run(config, arguments)
    except PeerError:
        processes.let_main_speak()
        return EXIT_USER_ERROR
    if processes.is_main:
        print("\n".join(lines))
    processes.part()
    return 0


if __name__ == "__main__":
    run_cli(main)
