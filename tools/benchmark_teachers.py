"""How much faster our students are than Depth Anything V2 S, B and L: the same runtime, threads, pictures and run.

    python tools/benchmark_teachers.py --out out/benchmark_teachers

Both sides have random weights: what a graph costs does not depend on them. Takes some minutes and 4 GB for the largest.
Writes <date>-teachers.json and <date>-teachers.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", metavar="NAME", help="which students (default: all)")
    parser.add_argument(
        "--teachers", nargs="+", choices=("S", "B", "L"), default=["S", "B", "L"], help="(default: all)"
    )
    parser.add_argument("--size", default="256x448", help="network input, height x width (default: %(default)s)")
    parser.add_argument("--cameras", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each pair (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of ONNX Runtime (default: one per physical core)")
    parser.add_argument("--out", required=True, type=Path, help="folder for <date>-teachers.json and .md")
    return parser.parse_args()


def main() -> None:
    """Measure and write the report."""
    arguments = parse_arguments()
    from surround_depth.benchmarks.report import start_run, write_report
    from surround_depth.benchmarks.students import PACKAGES
    from surround_depth.benchmarks.teachers import Race, measure, teachers_report
    from surround_depth.imaging import parse_size
    from surround_depth.inference.cpu import physical_cores
    from surround_depth.models.presets import PRESETS

    threads = arguments.threads or physical_cores()
    race = Race(parse_size("--size", arguments.size), arguments.cameras, arguments.runs, threads)
    run = start_run(arguments.out, PACKAGES)
    speeds = measure(arguments.presets or tuple(PRESETS), arguments.teachers, race)
    print(write_report(teachers_report(speeds, race), run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
