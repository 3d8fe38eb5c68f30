"""Every way to run the students on one GPU, in metres and milliseconds, beside what the GPU could do: one table.

    python tools/benchmark_gpu.py --engine build/nano_rtx_fp16 --out out/benchmark_gpu

Torch (eager, CUDA graph, compiled), ONNX Runtime where it has CUDA, and the engines of --engine, which
deploy/build_engine.py wrote. A line that cannot run says why. Writes <date>-gpu.json and <date>-gpu.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli

SHIPPED_STUDENT = "nano_synthetic"


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--presets", nargs="+", metavar="NAME", help="which students (default: nano, small and base; nano twice)"
    )
    parser.add_argument(
        "--size", action="append", help="network input, height x width; may be repeated (default: 256x448, and 352x640)"
    )
    parser.add_argument("--cameras", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument(
        "--checkpoint",
        action="append",
        type=Path,
        help="weights for the preset of its shape, and the reference of engines built from it; may be repeated "
        "(default: the one that ships; a preset without one has random weights)",
    )
    parser.add_argument("--engine", action="append", type=Path, default=[], help="engine folder; may be repeated")
    parser.add_argument("--runs", type=int, default=1000, help="timed runs of each line (default: %(default)s)")
    parser.add_argument("--device", default="cuda:0", help="of torch (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, help="folder for <date>-gpu.json and .md")
    return parser.parse_args()


def main() -> None:
    """Measure and write the report."""
    arguments = parse_arguments()
    import torch

    import surround_depth
    from surround_depth.benchmarks.gpu import PACKAGES, Plan, measure
    from surround_depth.benchmarks.gpu_nets import chosen_nets
    from surround_depth.benchmarks.gpu_report import gpu_report, row_line
    from surround_depth.benchmarks.report import start_run, write_report
    from surround_depth.export.checkpoint import read_trained_student
    from surround_depth.imaging import parse_size
    from surround_depth.inference.manifest import load_manifest

    shipped = Path(surround_depth.__file__).parent / "weights" / SHIPPED_STUDENT
    plan = Plan(
        nets=chosen_nets(arguments.presets, [parse_size("--size", size) for size in arguments.size or ()]),
        n_cameras=arguments.cameras,
        checkpoints=[read_trained_student(directory) for directory in arguments.checkpoint or [shipped]],
        engines=[(directory, load_manifest(directory)) for directory in arguments.engine],
        runs=arguments.runs,
        device=torch.device(arguments.device),
    )
    run = start_run(arguments.out, PACKAGES)
    table = measure(plan, on_row=lambda row: print(row_line(row), flush=True))
    print(write_report(gpu_report(table, arguments.runs), run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
