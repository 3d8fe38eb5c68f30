"""Where a CPU engine's time goes, operator by operator.

    python tools/profile_engine.py --engine build/student --threads 1 --out out/operators

Times are of the operators that the runtime really ran, after its own fusions, so names are its names. Writes
<date>-operators.json and <date>-operators.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True, type=Path, help="engine folder written by build_engine.py")
    parser.add_argument("--runs", type=int, default=50, help="timed frames (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(default: 1, whose times add up)")
    parser.add_argument("--top", type=int, default=20, help="rows of each table (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, help="folder for <date>-operators.json and .md")
    return parser.parse_args()


def main() -> None:
    """Profile and write the report."""
    arguments = parse_arguments()
    from surround_depth.benchmarks.operators import operators_report, profile
    from surround_depth.benchmarks.report import start_run, write_report
    from surround_depth.export.engine_build import ONNX_NAME
    from surround_depth.export.frames import timing_frames
    from surround_depth.inference.backend import open_backend
    from surround_depth.inference.manifest import load_manifest

    manifest = load_manifest(arguments.engine)
    with open_backend(arguments.engine, threads=arguments.threads) as backend:  # which verifies the folder
        (inputs, *_) = timing_frames(backend.spec, None, 1).network_inputs(backend.spec.input)
    run = start_run(arguments.out, ("onnxruntime", "openvino"))
    graph = arguments.engine / ONNX_NAME
    operators = profile(graph, manifest.engine, inputs, runs=arguments.runs, threads=arguments.threads)
    report = operators_report(operators, manifest.engine, arguments.threads, arguments.top)
    print(write_report(report, run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
