"""Samples per second and core of training's loader, beside a Pillow + LANCZOS + numpy loader of research code.

    python tools/benchmark_loading.py --out out/loading
    python tools/benchmark_loading.py --dataset nuscenes --root data/nuscenes --out out/loading

Both read the same six JPEGs and the same LiDAR sweep from disk, on one thread each, in turns, in one run. Without
--root the pictures are made up: 1600 x 900 pixels, about as many bytes as nuScenes has. Writes <date>-loading.json and
<date>-loading.md. Needs Pillow: pip install 'surround_depth[crosscheck]'.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="nuscenes", choices=("nuscenes", "ddad", "synthetic"))
    parser.add_argument("--root", type=Path, help="folder of the data set; its first sample is loaded again and again")
    parser.add_argument("--source", help="what --root is, in the report's words (default: data set and scene)")
    parser.add_argument("--size", default="352x640", help="network input, height x width (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=40, help="samples per way of loading (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, help="folder for <date>-loading.json and .md")
    return parser.parse_args()


def main() -> None:
    """Measure, print the table, and write it."""
    arguments = parse_arguments()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = "1"  # read when the libraries load, which is why they load below
    import tempfile

    import cv2
    import torch

    from surround_depth.benchmarks.loading import PACKAGES, compare_loading
    from surround_depth.benchmarks.loading_moment import made_up_sample, store_moment
    from surround_depth.benchmarks.loading_report import loading_report
    from surround_depth.benchmarks.report import start_run, write_report
    from surround_depth.data.build import open_dataset, open_sequence, sample_at
    from surround_depth.imaging import parse_size

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    spec = parse_size("--size", arguments.size)
    if arguments.root is None:
        sample, source = made_up_sample(), "made-up pictures"
    else:
        sequence = open_sequence(open_dataset(arguments.dataset, arguments.root))
        sample = sample_at(sequence, 0)
        source = arguments.source or f"{arguments.dataset}, first sample of {sequence.name}"
    run = start_run(arguments.out, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        comparison = compare_loading(store_moment(sample, Path(folder)), spec, arguments.samples)
    print(write_report(loading_report(comparison, spec, source), run, arguments.out))


if __name__ == "__main__":
    run_cli(main)
