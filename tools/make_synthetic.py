"""Render synthetic drives and write them as a nuScenes-format or DGP tree with exact dense depth beside it.

python tools/make_synthetic.py --out data/synthetic --seeds 0:8 --frames 20
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from surround_depth.errors import ConfigError, run_cli


@dataclass(frozen=True)
class Job:
    """One drive to render and where to write it; picklable for worker processes."""

    seed: int
    out: Path
    format: str
    rig: str
    height_px: int
    width_px: int
    frames: int
    interval_s: float
    lighting: str | None
    quiet: bool


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


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) of "352x640"."""
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise ConfigError(f"--size {text!r}: expected HEIGHTxWIDTH, for example 352x640")
    return int(height), int(width)


def with_progress(samples: Iterator[Any], label: str, total: int, *, quiet: bool) -> Iterator[Any]:
    """Yield the samples behind a progress bar."""
    from tqdm import tqdm

    yield from tqdm(samples, desc=label, total=total, unit="frame", disable=quiet)


def render_and_write(job: Job) -> tuple[Any, float]:
    """Render one drive and write its files; return the record that the tables need, and the seconds it took."""
    from dataclasses import replace

    from surround_depth.data.synthetic.drive import DriveConfig, render_drive
    from surround_depth.data.writers import dgp_tree, nuscenes_tree
    from surround_depth.imaging import InputSpec, plan_images
    from surround_depth.rig import load_rig

    started = time.perf_counter()
    spec = InputSpec(height_px=job.height_px, width_px=job.width_px)
    rig = plan_images(load_rig(job.rig), spec).network_rig
    config = DriveConfig(job.seed, rig, job.frames, frame_interval_s=job.interval_s, lighting=job.lighting)
    drive = render_drive(config)
    drive = replace(drive, samples=with_progress(drive.samples, drive.name, job.frames, quiet=job.quiet))
    write = nuscenes_tree.write_drive_files if job.format == "nuscenes" else dgp_tree.write_dgp_drive_files
    return write(job.out, drive), time.perf_counter() - started


def main() -> None:
    args = parse_arguments()
    height_px, width_px = parse_size(args.size)
    job_of = partial(
        Job, out=args.out, format=args.format, rig=args.rig, height_px=height_px, width_px=width_px,
        frames=args.frames, interval_s=args.interval_s, lighting=args.lighting, quiet=args.workers > 1,
    )  # fmt: skip
    jobs = [job_of(seed) for seed in parse_seeds(args.seeds)]
    from surround_depth.data.writers.files import require_new_tree

    require_new_tree(args.out)
    records, seconds = [], 0.0
    for record, job_seconds in run_jobs(jobs, args.workers):
        records.append(record)
        seconds += job_seconds
    write_index(args, records)
    frames = len(jobs) * args.frames
    print(f"{args.out}: {len(jobs)} scenes, {frames} frames, {seconds / frames:.2f} s a frame and process")


def run_jobs(jobs: list[Job], workers: int) -> Iterator[tuple[Any, float]]:
    """Yield what each job returns, in the order of the jobs."""
    if workers <= 1:
        yield from map(render_and_write, jobs)
        return
    from tqdm import tqdm

    # spawn: a forked open3d or numba runtime may hang
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from tqdm(pool.map(render_and_write, jobs), desc="scenes", total=len(jobs), unit="scene")


def write_index(args: argparse.Namespace, records: list[Any]) -> None:
    """Write the tables (nuScenes) or the scene list (DGP) of all drives."""
    from surround_depth.data.writers import dgp_tree, nuscenes_tree

    if args.format == "nuscenes":
        nuscenes_tree.write_tables(args.out, records, args.version)
    else:
        dgp_tree.write_scene_list(args.out, {args.split: records})


if __name__ == "__main__":
    run_cli(main)
