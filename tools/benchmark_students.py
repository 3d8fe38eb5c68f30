"""What each preset of the student costs: parameters, GMAC, and the latency of its ONNX Runtime engine on this CPU.

    python tools/benchmark_students.py --out out/benchmark_students

Each preset is exported untrained and timed in turns with nano. Writes <date>-students.json and <date>-students.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", metavar="NAME", help="which ones (default: all)")
    parser.add_argument("--size", default="352x640", help="network input, height x width (default: %(default)s)")
    parser.add_argument("--cameras", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=50, help="timed runs of each engine (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of ONNX Runtime (default: one per physical core)")
    parser.add_argument("--out", required=True, type=Path, help="folder for <date>-students.json and .md")
    return parser.parse_args()


def main() -> None:
    """Measure and write the report."""
    arguments = parse_arguments()
    from surround_depth.benchmarks.report import start_run, write_report
    from surround_depth.benchmarks.students import PACKAGES, engine_spec, measure, students_report
    from surround_depth.imaging import parse_size
    from surround_depth.inference.cpu import physical_cores
    from surround_depth.models.presets import PRESETS

    spec = engine_spec(parse_size("--size", arguments.size), arguments.cameras)
    threads = arguments.threads or physical_cores()
    run = start_run(arguments.out, PACKAGES)
    costs = measure(arguments.presets or PRESETS, spec, runs=arguments.runs, threads=threads)
    report = students_report(costs, spec, runs=arguments.runs, threads=threads)
    print(write_report(report, run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
