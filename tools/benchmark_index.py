"""Time how nuScenes tables of trainval's size open: built, from the cache, and by nuscenes-devkit, in one run.

    python tools/benchmark_index.py --out out/index
    python tools/benchmark_index.py --scale 0.01 --out out/index

Writes <date>-index.json and <date>-index.md. Each figure is of a fresh process. Needs 3 GB of disk and, for the devkit,
12 GB of memory at full scale; --no-devkit leaves it out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, help="folder for <date>-index.json and .md")
    parser.add_argument("--scale", type=float, default=1.0, help="share of trainval's 850 scenes (default 1)")
    parser.add_argument("--work", type=Path, help="where the tables are written and removed (default: a new folder)")
    parser.add_argument("--no-devkit", action="store_true", help="leave nuscenes-devkit out")
    parser.add_argument("--repeats", type=int, default=3, help="of the warm measurements (default 3)")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    from surround_depth.benchmarks.index import PACKAGES, index_report, measure_index, work_folder
    from surround_depth.benchmarks.report import start_run, write_report

    with work_folder(arguments.work) as folder:
        run = start_run(arguments.out, PACKAGES)
        result = measure_index(
            folder,
            scale=arguments.scale,
            repeats=arguments.repeats,
            with_devkit=not arguments.no_devkit,
            report=lambda line: print(line, flush=True),
        )
    print(write_report(index_report(result), run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
