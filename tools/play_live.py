"""Play a drive at recorded pace: depth of every camera and the fused cloud, live in a browser or into a folder.

    python tools/play_live.py --dataset synthetic --root out/demo/data
    python tools/play_live.py --dataset nuscenes --root data/nuscenes --scene scene-0061 --headless --out out/play
    python tools/play_live.py --dataset ddad --root data/ddad --headless --rate 0 --every 10

Live: prints the address of a page on this machine. Headless: writes mosaic.mp4, mosaic.png, cloud.ply and report.json
(latency per stage, frames played and dropped, error against LiDAR and dense truth). The main path of the project is
what happens to each frame: surround_depth/inference/pipeline.py.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from surround_depth.errors import EngineMismatchError, MissingDependencyError, run_cli

DEFAULT_ENGINE = Path("build/student")
SHIPPED_STUDENT = "nano_synthetic"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, choices=("nuscenes", "ddad", "synthetic"))
    parser.add_argument("--root", required=True, type=Path, help="folder of the data set")
    parser.add_argument("--version", help="folder of the tables (nuscenes, synthetic)")
    parser.add_argument("--scene", help="default: the first")
    parser.add_argument("--sweeps", action="store_true", help="nuScenes: every picture (12 Hz), not key frames (2 Hz)")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="own-body masks: no depth, no points on the vehicle")
    parser.add_argument(
        "--engine",
        type=Path,
        metavar="DIR",
        help=f"what deploy/build_engine.py wrote (default: {DEFAULT_ENGINE}, else the shipped student, compiled once)",
    )
    parser.add_argument("--rate", type=float, default=1.0, help="1 = as recorded; 0 = as fast as possible, no drops")
    parser.add_argument("--start-s", type=float, default=0.0, help="skip so many recorded seconds")
    parser.add_argument("--max-frames", type=int, help="stop after so many processed frames")
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument("--headless", action="store_true", help="write files instead of serving a page")
    parser.add_argument("--out", type=Path, default=Path("out/play"), help="folder for --headless (default out/play)")
    parser.add_argument(
        "--every", type=int, metavar="K", help="with --headless: also picture and cloud of each K-th frame"
    )
    parser.add_argument("--port", type=int, default=8080, help="of the page on 127.0.0.1 (default 8080; 0 = any free)")
    parser.add_argument("--min-confidence", type=float, default=0.5, help="of a point in the cloud (default 0.5)")
    parser.add_argument("--max-range-m", type=float, default=60.0, help="of a point in the cloud (default 60)")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    from surround_depth.data.build import open_dataset, open_sequence
    from surround_depth.inference.backend import open_backend
    from surround_depth.provenance import portable_argument
    from surround_depth.runtime.pacing import PlaybackOptions
    from surround_depth.runtime.player import FusionOptions
    from surround_depth.runtime.report import report_lines
    from surround_depth.runtime.session import play_headless, play_live

    options = PlaybackOptions(arguments.rate, arguments.start_s, arguments.max_frames, arguments.loop)
    fusion = FusionOptions(arguments.max_range_m, arguments.min_confidence)
    rate = "sweeps" if arguments.sweeps else "keyframes"
    dataset = open_dataset(
        arguments.dataset, arguments.root, version=arguments.version, rate=rate, masks=arguments.masks
    )
    sequence = open_sequence(dataset, arguments.scene)
    engine = arguments.engine or default_engine()
    source = {"dataset": dataset.name, "licence": dataset.licence, "engine": portable_argument(str(engine))}
    with open_backend(engine) as backend:
        print(f"playing {dataset.name} {sequence.name}, {len(sequence)} samples, engine {engine}")
        if arguments.headless:
            report = play_headless(
                backend, sequence, options, arguments.out, source=source, every=arguments.every, fusion=fusion
            )
        else:
            report = play_live(
                backend, sequence, options, source=source, announce=announce, port=arguments.port, fusion=fusion
            )
    print("\n".join(report_lines(report)))
    if arguments.headless:
        print(f"written to {arguments.out}/: {', '.join(sorted(path.name for path in arguments.out.iterdir()))}")


def announce(url: str) -> None:
    print(f"watch it at {url} (Ctrl-C stops)", flush=True)


def default_engine() -> Path:
    """Return build/student, or the shipped student's engine, compiled once into the user's cache."""
    if DEFAULT_ENGINE.is_dir():
        return DEFAULT_ENGINE
    import surround_depth
    from surround_depth.files import cache_folder

    student = Path(surround_depth.__file__).parent / "weights" / SHIPPED_STUDENT
    weights = student / "model.safetensors"
    if not weights.is_file():
        raise EngineMismatchError(
            f"no engine at {DEFAULT_ENGINE} and no shipped student at {student}; train one, then "
            f"python deploy/build_engine.py --checkpoint DIR --out {DEFAULT_ENGINE}"
        )
    version = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    engine = cache_folder() / f"{SHIPPED_STUDENT}-{version}"
    if not engine.is_dir():
        engine.parent.mkdir(parents=True, exist_ok=True)
        print(f"no engine at {DEFAULT_ENGINE}: compiling the shipped student once, into {engine}")
        compile_student(student, engine)
    return engine


def compile_student(checkpoint: Path, engine: Path) -> Any:
    try:
        from surround_depth.export.engine_build import BuildRequest, build_engine
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"compiling a student needs {error.name}: pip install 'surround_depth[train]', or build one elsewhere "
            f"(python deploy/build_engine.py --checkpoint {checkpoint} --out DIR) and give --engine DIR"
        ) from error
    return build_engine(BuildRequest(checkpoint, engine, command="tools/play_live.py"), report=print)


if __name__ == "__main__":
    run_cli(main)
