"""Time LiDAR depth: our kernels beside plain numpy, six cameras at full resolution, one sweep and ten.

    python tools/benchmark_lidar.py --out out/benchmark_lidar

Writes <date>-lidar.json and <date>-lidar.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rig", default="nuscenes", help="shipped rig or rig file whose cameras look")
    parser.add_argument("--repeats", type=int, default=15, help="runs of each task; the median counts")
    parser.add_argument("--out", required=True, type=Path, help="folder for <date>-lidar.json and .md")
    return parser.parse_args()


def main() -> None:
    """Measure and write the report."""
    arguments = parse_arguments()
    from surround_depth.benchmarks.lidar import PACKAGES, lidar_report, measure
    from surround_depth.benchmarks.report import start_run, write_report
    from surround_depth.rig import load_rig

    rig = load_rig(arguments.rig)
    run = start_run(arguments.out, PACKAGES)
    timings = measure(rig, arguments.repeats)
    print(write_report(lidar_report(timings, rig, arguments.repeats), run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
