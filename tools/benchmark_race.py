"""How much faster our students are than Depth Anything V2 S, B, L and a network of SurroundDepth's size, in one run.

    python tools/benchmark_race.py --out out/race
    python tools/benchmark_race.py --students surround_depth/weights/nano_synthetic small base --engine openvino \
        --precisions fp32 int8 --data out/demo/data --calibration out/synthetic --out out/race

The others have random weights, and so has a student that is the name of a preset: what a graph costs does not depend on
them. A student that is a checkpoint folder also gets its AbsRel on the drive, by the very engine that is timed. Takes
some minutes and 4 GB for the largest. Writes <date>-race.json and <date>-race.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli

RIVALS = ("dav2-s", "dav2-b", "dav2-l", "surrounddepth")


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", nargs="+", metavar="WHAT", help="presets, checkpoint folders (default: presets)")
    parser.add_argument("--against", nargs="+", choices=RIVALS, default=RIVALS, help="(default: all)")
    parser.add_argument("--engine", choices=("onnxruntime", "openvino"), default="onnxruntime", help="of both sides")
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "int8"), default=("fp32",), help="of the students")
    parser.add_argument("--size", default="256x448", help="network input, height x width (default: %(default)s)")
    parser.add_argument("--cameras", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--data", type=Path, help="data set with truth, for AbsRel")
    parser.add_argument("--calibration", type=Path, help="other drives, for the ranges of int8 (default: --data)")
    parser.add_argument(
        "--dataset", choices=("synthetic", "nuscenes", "ddad"), default="synthetic", help="kind of both"
    )
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each pair (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of the runtime (default: one per physical core)")
    parser.add_argument("--out", required=True, type=Path, help="folder for <date>-race.json and .md")
    return parser.parse_args()


def main() -> None:
    """Measure and write the report."""
    arguments = parse_arguments()
    from surround_depth.benchmarks.race import Race, measure, race_report
    from surround_depth.benchmarks.report import start_run, write_report
    from surround_depth.benchmarks.students import PACKAGES
    from surround_depth.export.frames import DriveSource
    from surround_depth.imaging import parse_size
    from surround_depth.inference.cpu import physical_cores
    from surround_depth.models.presets import PRESETS

    race = Race(
        input=parse_size("--size", arguments.size),
        n_cameras=arguments.cameras,
        runs=arguments.runs,
        threads=arguments.threads or physical_cores(),
        engine=arguments.engine,
        precisions=tuple(arguments.precisions),
        drive=DriveSource(arguments.dataset, arguments.data) if arguments.data else None,
        calibration=DriveSource(arguments.dataset, arguments.calibration) if arguments.calibration else None,
    )
    run = start_run(arguments.out, (*PACKAGES, "openvino"))
    laps = measure(arguments.students or PRESETS, arguments.against, race)
    print(write_report(race_report(laps, race), run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
