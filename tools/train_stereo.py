"""Train the stereo teacher: a small network that sees left-right pairs, for students that see one picture.

    python tools/train_stereo.py --config synthetic_stereo
    python tools/train_stereo.py --config synthetic_stereo --set data.kind=kitti_2015 --set data.root=DIR \\
        --set rendering=null --set net.max_disparity_px=96

Leaves OUT/teacher (model.safetensors, config.json, README.md) and OUT/resolved.yaml. A student learns from it on a tree
whose cameras have partners: tools/train_fsmde.py --set teacher.kind=stereo --set teacher.stereo.directory=OUT/teacher.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from surround_depth.errors import ConfigError, run_cli

if TYPE_CHECKING:
    from surround_depth.training.stereo import StereoResult
    from surround_depth.training.stereo_config import StereoTrainConfig


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="name of a shipped stereo config, or a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="repeatable; a list is [A, B]")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: out/stereo/CONFIG-NAME")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads for torch (default: its own choice)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where torch computes (default: cpu)")
    return parser.parse_args()


def render(config: StereoTrainConfig) -> None:
    """Make the synthetic tree that the config asks for where it is not there."""
    root = Path(config.data.root).expanduser()
    if config.rendering is None or root.exists():
        return
    from tqdm import tqdm

    from surround_depth.training.rendering import render_missing

    with tqdm(total=config.rendering.n_drives, unit="drive", desc=f"rendering {root}") as bar:
        render_missing(root, config.rendering, lambda name: bar.update(1))


def train(config: StereoTrainConfig, out: Path, device: str) -> StereoResult:
    """Train with a progress bar."""
    from tqdm import tqdm

    from surround_depth.data.stereo_build import open_stereo_pairs
    from surround_depth.training.stereo import train_stereo

    pairs = open_stereo_pairs(config.data)
    with tqdm(total=config.steps, unit="step", dynamic_ncols=True, mininterval=1.0) as bar:

        def on_step(step: int, loss: float) -> None:
            bar.update(1)
            if step % 10 == 0:
                bar.set_postfix(loss=f"{loss:.3f}")

        return train_stereo(config, pairs, out, on_step=on_step, device=device)


def main() -> None:
    arguments = parse_arguments()
    import torch

    from surround_depth.config import load_config
    from surround_depth.training.stereo_config import StereoTrainConfig
    from surround_depth.training.stereo_report import error_line

    config = load_config(StereoTrainConfig, arguments.config, arguments.set)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch finds no GPU here; leave the option out")
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    render(config)
    result = train(config, arguments.out or Path("out/stereo") / config.name, arguments.device)
    print(f"teacher: {result.directory}")
    print(f"on drives that were held out: {error_line(result.errors)}")
    print(f"one disparity for all pixels: {error_line(result.constant)}")


if __name__ == "__main__":
    run_cli(main)
