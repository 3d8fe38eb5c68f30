"""Render synthetic drives and write them as a nuScenes-format or DGP tree with exact dense depth beside it.

python tools/make_synthetic.py --out data/synthetic --seeds 0:8 --frames 20
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from surround_depth.errors import ConfigError, run_cli


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the tree")
    parser.add_argument("--format", choices=("nuscenes", "dgp"), default="nuscenes")
    parser.add_argument("--rig", default="nuscenes", help="nuscenes, ddad, or a rig YAML file")
    parser.add_argument("--seeds", default="0:8", help="first:end, or a comma-separated list; one seed is one scene")
    parser.add_argument("--frames", type=int, default=20, help="samples per scene")
    parser.add_argument("--size", default="352x640", help="HEIGHTxWIDTH of every image, multiples of 32")
    parser.add_argument("--interval-s", type=float, default=0.5, help="seconds between samples")
    parser.add_argument("--lighting", help="one lighting for all scenes (default: drawn from each seed)")
    parser.add_argument("--workers", type=int, default=1, help="processes; each renders whole scenes")
    parser.add_argument("--version", default="v1.0-mini", help="table folder of a nuScenes tree")
    parser.add_argument("--split", default="train", help="split of a DGP tree")
    return parser.parse_args()


def parse_seeds(text: str) -> list[int]:
    """Return seeds of "0:8" (8 is not among them) or "3,5,9"."""
    try:
        if ":" in text:
            first, end = text.split(":")
            seeds = list(range(int(first), int(end)))
        else:
            seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds {text!r}: expected first:end or a list like 3,5,9, each seed once")
    return seeds


def main() -> None:
    args = parse_arguments()
    seeds = parse_seeds(args.seeds)
    from tqdm import tqdm

    from surround_depth.imaging import parse_size, plan_images
    from surround_depth.rig import load_rig

    rig = plan_images(load_rig(args.rig), parse_size("--size", args.size)).network_rig
    from surround_depth.data.render_tree import TreeFormat, dgp_format, nuscenes_format, render_tree
    from surround_depth.data.synthetic.drive import DriveConfig

    form: TreeFormat = nuscenes_format(args.version) if args.format == "nuscenes" else dgp_format(args.split)
    configs = [
        DriveConfig(seed, rig, args.frames, frame_interval_s=args.interval_s, lighting=args.lighting) for seed in seeds
    ]
    begin_s = time.monotonic()
    with tqdm(total=len(configs), desc="scenes", unit="scene") as bar:
        render_tree(args.out, configs, form, workers=args.workers, on_drive=lambda record: bar.update())
    n_frames = len(configs) * args.frames
    seconds = (time.monotonic() - begin_s) / n_frames
    print(f"{args.out}: {len(configs)} scenes, {n_frames} frames, {seconds:.2f} s a frame, {args.workers} processes")


if __name__ == "__main__":
    run_cli(main)
