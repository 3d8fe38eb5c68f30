#!/usr/bin/env python3
"""Time an engine on this machine: alone, and in the whole chain from JPEG to fused cloud.

python deploy/benchmark.py --engine build/student --runs 200 --out out/benchmark
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from surround_depth.errors import ConfigError, run_cli


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="engine folder written by build_engine.py")
    parser.add_argument("--runs", type=int, default=200, help="timed frames after the warm-up (default 200)")
    parser.add_argument("--threads", type=int, help="CPU engine: threads (default: the physical cores)")
    parser.add_argument("--data", type=Path, help="drive to time on (default: structured random images)")
    parser.add_argument(
        "--dataset", choices=("synthetic", "nuscenes", "ddad"), default="synthetic", help="kind of --data"
    )
    parser.add_argument("--frames", type=int, default=4, help="different frames to go round (default 4)")
    parser.add_argument("--out", type=Path, help="folder for benchmark.json and benchmark.md")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.frames < 1:
        raise ConfigError("--frames must be at least 1")
    from surround_depth.export.benchmark import markdown_table, measure_engine
    from surround_depth.export.frames import DriveSource, timing_frames
    from surround_depth.inference.backend import open_backend
    from surround_depth.inference.cpu import physical_cores
    from surround_depth.inference.manifest import load_manifest

    manifest = load_manifest(arguments.engine)
    with open_backend(arguments.engine, threads=arguments.threads) as backend:
        source = DriveSource(arguments.dataset, arguments.data) if arguments.data else None
        frames = timing_frames(backend.spec, source, arguments.frames)
        threads = str(arguments.threads or physical_cores()) if manifest.engine == "onnxruntime" else "GPU"
        measurement = measure_engine(backend, manifest, frames, n_runs=arguments.runs, threads=threads)
    table = markdown_table(measurement)
    print(table)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "benchmark.md").write_text(table + "\n", encoding="utf-8")
        (arguments.out / "benchmark.json").write_text(
            json.dumps(measurement.as_json(), indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    run_cli(main)
