"""Time LiDAR depth: our kernels beside plain numpy, six cameras at full resolution, one sweep and ten.

python tools/benchmark_lidar.py --out out/benchmark_lidar
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import run_cli


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rig", default="nuscenes", help="shipped rig or rig file whose cameras look")
    parser.add_argument("--repeats", type=int, default=15, help="runs of each task; the median counts")
    parser.add_argument("--out", required=True, type=Path, help="folder for lidar.json and lidar.md")
    return parser.parse_args()


def main() -> None:
    """Measure and write the report."""
    arguments = parse_arguments()
    import json
    from dataclasses import asdict

    from surround_depth.data.lidar_benchmark import markdown, measure
    from surround_depth.files import write_atomic
    from surround_depth.provenance import command_line, package_versions, source_commit
    from surround_depth.rig import load_rig

    rig = load_rig(arguments.rig)
    timings = measure(rig, arguments.repeats)
    origin = {
        "command": command_line(),
        "commit": source_commit(),
        "packages": package_versions(("numpy", "numba")),
        "rig": rig.name,
        "repeats": arguments.repeats,
    }
    table = markdown(timings, len(rig))
    rows = [{**asdict(timing), "ratio": timing.ratio} for timing in timings]
    write_atomic(arguments.out / "lidar.json", (json.dumps({**origin, "timings": rows}, indent=2) + "\n").encode())
    versions = ", ".join(f"{name} {version}" for name, version in origin["packages"].items())
    title = f"# LiDAR depth\n\n`{origin['command']}` at {origin['commit']}, one thread, {versions}.\n\n"
    write_atomic(arguments.out / "lidar.md", (title + table).encode())
    print(table)


if __name__ == "__main__":
    run_cli(main)
