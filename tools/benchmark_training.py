"""Samples per second of the training step: one and two processes on the CPU, or one GPU in bf16.

    python tools/benchmark_training.py --out out/scaling
    python tools/benchmark_training.py --device cuda --size 352x640 --batch-size 8 --out out/scaling

Writes <date>-training-scaling.md and .json. A quiet machine is needed: two processes want two cores.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--preset", default="nano", help="of the student (default: %(default)s)")
    parser.add_argument("--size", default="192x352", help="network input, height x width (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=1, help="samples per process (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="steps to time (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


def work(height_px: str, width_px: str, preset: str, batch_size: str, n_steps: str) -> None:
    """Be one of the processes: print the seconds of every step."""
    import torch

    from surround_depth.benchmarks.training_scaling import Load, measure
    from surround_depth.imaging import InputSpec

    torch.set_num_threads(1)
    spec = InputSpec(height_px=int(height_px), width_px=int(width_px))
    times = measure(Load(spec, preset, int(batch_size), "fp32", "cpu"), int(n_steps))  # type: ignore[arg-type]
    print(*times.steps_s)


def main() -> None:
    """Measure, print the table, and write it."""
    if sys.argv[1:2] == ["--worker"]:
        return work(*sys.argv[2:])
    arguments = parse_arguments()
    from surround_depth.benchmarks.report import require_repeats, start_run, write_report
    from surround_depth.benchmarks.training_scaling import PACKAGES, Load, measure, measure_together, scaling_report
    from surround_depth.imaging import parse_size

    require_repeats("--steps", arguments.steps)
    run = start_run(arguments.out, PACKAGES)
    on_cpu = arguments.device == "cpu"
    precision = "fp32" if on_cpu else "bf16"
    size = parse_size("--size", arguments.size)
    load = Load(size, arguments.preset, arguments.batch_size, precision, arguments.device)
    if on_cpu:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        times = [measure_together(load, n, arguments.steps, Path(__file__).resolve()) for n in (1, 2)]
    else:
        times = [measure(load, arguments.steps)]
    print(write_report(scaling_report(load, times), run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
