#!/usr/bin/env python3
"""Time an engine on this machine: alone, in the whole chain from JPEG to fused cloud, at fixed rates, beside others.

python deploy/benchmark.py --engine build/student --against dav2-s surrounddepth --out out/benchmark

The references (Depth Anything V2 S, B and L, a network of SurroundDepth's size) have random weights, are made here and
run as the engine does; they need the extra [train]. Another engine folder may stand in their place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import ConfigError, run_cli

RATES_HZ = (10.0, 12.0, 20.0, 30.0)


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
    parser.add_argument(
        "--rates", nargs="*", type=float, default=RATES_HZ, metavar="HZ", help="frames a second (default 10 12 20 30)"
    )
    parser.add_argument("--rate-seconds", type=float, default=5.0, help="how long each rate is held (default 5)")
    parser.add_argument(
        "--highest-rate-seconds",
        type=float,
        default=4.0,
        metavar="S",
        help="how long each of 6 rates is tried to find the highest held (default 4; 0 leaves the search out)",
    )
    parser.add_argument(
        "--against",
        nargs="+",
        default=(),
        metavar="WHAT",
        help="engine folder, dav2-s, dav2-b, dav2-l or surrounddepth",
    )
    parser.add_argument("--against-runs", type=int, default=10, help="timed pairs with each of them (default 10)")
    parser.add_argument("--out", type=Path, help="folder for benchmark.json and benchmark.md")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.frames < 1 or arguments.against_runs < 1:
        raise ConfigError("--frames and --against-runs must be at least 1")
    from surround_depth.benchmarks.against import race
    from surround_depth.benchmarks.engine_report import EngineReport
    from surround_depth.benchmarks.highest_rate import find_highest_rate
    from surround_depth.benchmarks.rates import FrameChains, measure_rates
    from surround_depth.export.benchmark import measure_engine
    from surround_depth.export.frames import DriveSource, timing_frames
    from surround_depth.files import write_atomic, write_json
    from surround_depth.inference.backend import open_backend
    from surround_depth.inference.cpu import physical_cores
    from surround_depth.inference.manifest import load_manifest

    manifest = load_manifest(arguments.engine)
    n_threads = arguments.threads or physical_cores()
    with open_backend(arguments.engine, threads=n_threads) as backend:
        source = DriveSource(arguments.dataset, arguments.data) if arguments.data else None
        frames = timing_frames(backend.spec, source, arguments.frames)
        threads = "GPU" if manifest.engine.startswith("tensorrt") else str(n_threads)
        measurement = measure_engine(backend, manifest, frames, n_runs=arguments.runs, threads=threads)
        chains = FrameChains(backend, frames)
        rates = measure_rates(chains, arguments.rates, arguments.rate_seconds)
        seconds = arguments.highest_rate_seconds
        highest = find_highest_rate(chains, seconds) if seconds else None
        versus = race(
            backend, manifest.engine, frames, arguments.against, runs=arguments.against_runs, threads=n_threads
        )
    report = EngineReport(measurement, tuple(rates), highest, tuple(versus))
    print(report.markdown())
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_atomic(arguments.out / "benchmark.md", (report.markdown() + "\n").encode())
        write_json(arguments.out / "benchmark.json", report.as_json())


if __name__ == "__main__":
    run_cli(main)
