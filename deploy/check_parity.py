#!/usr/bin/env python3
"""Prove an engine on this machine: its metres against its checkpoint in torch fp32. Fails when a bound is broken.

python deploy/check_parity.py --engine build/student --checkpoint out/student
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import ConfigError, run_cli


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="engine folder written by build_engine.py")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the checkpoint it was made of")
    parser.add_argument("--data", type=Path, help="drive to prove on (default: structured random images)")
    parser.add_argument(
        "--dataset", choices=("synthetic", "nuscenes", "ddad"), default="synthetic", help="kind of --data"
    )
    parser.add_argument("--frames", type=int, default=8, help="how many (default 8)")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.frames < 1:
        raise ConfigError("--frames must be at least 1")
    from surround_depth.export.frames import DriveSource
    from surround_depth.export.parity import parity_table, require_parity
    from surround_depth.export.parity_check import check_engine
    from surround_depth.inference.manifest import load_manifest

    source = DriveSource(arguments.dataset, arguments.data) if arguments.data else None
    record = check_engine(arguments.engine, arguments.checkpoint, source, arguments.frames)
    print(parity_table([record]))
    require_parity(record, load_manifest(arguments.engine).precision)


if __name__ == "__main__":
    run_cli(main)
