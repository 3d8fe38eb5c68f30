"""Train (distil) a multi-camera student.

    python tools/train_fsmde.py --config synthetic_demo
    python tools/train_fsmde.py --config synthetic_demo --init out/train/synthetic_demo/student --set optim.steps=300

Leaves OUT/student (model.safetensors, config.json, README.md), OUT/tensorboard, OUT/metrics.json and OUT/resolved.yaml.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from surround_depth.errors import run_cli

if TYPE_CHECKING:
    from surround_depth.training.config import TrainConfig
    from surround_depth.training.loop import StepReport
    from surround_depth.training.validation import Validation


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="name of a shipped training config, or a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="repeatable")
    parser.add_argument("--init", type=Path, metavar="DIR", help="checkpoint to start from (default: random weights)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: out/train/CONFIG-NAME")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads for torch (default: its own choice)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where torch computes (default: cpu)")
    return parser.parse_args()


class TerminalWatcher:
    """A progress bar with the time left, and one line per validation."""

    def __init__(self, n_steps: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=n_steps, unit="step", dynamic_ncols=True, mininterval=1.0)

    def on_step(self, step: int, report: StepReport) -> None:
        self._bar.update(1)
        if step % 10 == 0:
            self._bar.set_postfix(loss=f"{float(report.loss.total.detach()):.3f}", lr=f"{report.lr:.1e}")

    def on_validation(self, step: int, validation: Validation) -> None:
        exact, lidar = validation.dense.abs_rel, validation.lidar.abs_rel
        mean = validation.baseline_dense.abs_rel if validation.dense.n_pixels else validation.baseline_lidar.abs_rel
        self._bar.write(f"step {step}: AbsRel {exact:.3f} exact, {lidar:.3f} LiDAR (training mean: {mean:.3f})")

    def close(self) -> None:
        self._bar.close()


def render(config: TrainConfig) -> None:
    """Make the synthetic tree that the config asks for."""
    from tqdm import tqdm

    from surround_depth.training.rendering import render_missing

    rendering = config.data.rendering
    with tqdm(total=rendering.n_drives, unit="drive", desc=f"rendering {config.data.root}") as bar:
        render_missing(Path(config.data.root), rendering, lambda name: bar.update(1))


def main() -> int:
    arguments = parse_arguments()
    import torch

    from surround_depth.config import load_config
    from surround_depth.evaluation.baseline import per_pixel_mean_m
    from surround_depth.training.config import TrainConfig
    from surround_depth.training.run import run_training

    config = load_config(TrainConfig, arguments.config, arguments.set)
    if config.data.render and not Path(config.data.root).exists():
        render(config)
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    out = arguments.out or Path("out/train") / config.name
    watcher = TerminalWatcher(config.optim.steps)
    try:
        result = run_training(
            config,
            out,
            watcher=watcher,
            per_pixel_mean=per_pixel_mean_m,
            init=arguments.init,
            device=arguments.device,
        )
    finally:
        watcher.close()
    print(f"student: {result.directory}")
    print(f"next: python deploy/build_engine.py --checkpoint {result.directory} --out build/student")
    return 0


if __name__ == "__main__":
    run_cli(main)
