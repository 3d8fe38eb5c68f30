#!/usr/bin/env python3
"""Prove engines on this machine: their metres against the checkpoint in torch fp32. Fails when a bound is broken.

python deploy/check_parity.py --checkpoint out/student --engine build/student --engine build/student_int8
python deploy/check_parity.py --checkpoint out/student --data DATA --out out/parity     # every precision it can run
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from surround_depth.errors import ConfigError, EngineMismatchError, run_cli


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="the checkpoint the engines are made of")
    parser.add_argument(
        "--engine",
        type=Path,
        action="append",
        help="engine folder written by build_engine.py, may be repeated (default: all that this machine can run)",
    )
    parser.add_argument("--cameras", type=int, default=6, help="without --engine: camera slots (default 6)")
    parser.add_argument("--data", type=Path, help="drive to prove on (default: structured random images)")
    parser.add_argument("--calibration", type=Path, help="without --engine: drive for int8's ranges (default: --data)")
    parser.add_argument(
        "--dataset",
        choices=("synthetic", "nuscenes", "ddad"),
        default="synthetic",
        help="kind of --data and --calibration",
    )
    parser.add_argument("--frames", type=int, default=8, help="how many (default 8)")
    parser.add_argument("--out", type=Path, help="folder for parity.md, parity.json and a page with pictures")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.frames < 1 or arguments.cameras < 1:
        raise ConfigError("--frames and --cameras must be at least 1")
    from surround_depth.export.checkpoint import read_trained_student
    from surround_depth.export.frames import DriveSource, calibration_frames, proof_frames
    from surround_depth.export.parity import parity_table
    from surround_depth.export.parity_ladder import climb, engine_rungs, possible_rungs
    from surround_depth.export.parity_page import write_parity_report
    from surround_depth.inference.backend import engine_spec
    from surround_depth.inference.manifest import load_manifest

    first = load_manifest(arguments.engine[0]) if arguments.engine else None
    trained = read_trained_student(arguments.checkpoint)
    spec = engine_spec(first) if first is not None else trained.engine_spec(arguments.cameras)
    source = DriveSource(arguments.dataset, arguments.data) if arguments.data else None
    frames = proof_frames(spec, source, arguments.frames)
    with tempfile.TemporaryDirectory() as folder:
        if first is not None:
            planned = engine_rungs(arguments.engine, trained, arguments.checkpoint)
        else:
            ranges = DriveSource(arguments.dataset, arguments.calibration) if arguments.calibration else source
            calibration = calibration_frames(spec, ranges)
            planned = tuple(possible_rungs(trained, spec, calibration, Path(folder), _say))
        rungs = climb(trained, spec, frames, planned, _say)
    print(parity_table([rung.record for rung in rungs]))
    if arguments.out is not None:
        write_parity_report(arguments.out, rungs, frames, spec.input)
        print(f"page     {arguments.out / 'parity.html'}")
    failures = [rung.failure for rung in rungs if rung.failure is not None]
    if failures:
        raise EngineMismatchError("; ".join(failures))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    run_cli(main)
