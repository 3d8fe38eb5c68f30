#!/usr/bin/env python3
"""Compile a checkpoint into an engine directory, proven in metres against torch.

python deploy/build_engine.py --checkpoint out/student --out build/student
python deploy/build_engine.py --checkpoint out/student --out build/student_rtx --engine tensorrt_rtx
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from surround_depth.errors import ConfigError, run_cli

if TYPE_CHECKING:
    from surround_depth.imaging import InputSpec

ENGINES = ("onnxruntime", "tensorrt", "tensorrt_rtx")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with model.safetensors and config.json")
    parser.add_argument("--out", type=Path, required=True, help="engine folder to write, for example build/student")
    parser.add_argument("--engine", choices=ENGINES, default="onnxruntime", help="default: onnxruntime, for the CPU")
    parser.add_argument("--cameras", type=int, default=6, help="camera slots; a rig may use fewer (default 6)")
    parser.add_argument("--size", metavar="HxW", help="network resolution, multiples of 32 (default: as trained)")
    parser.add_argument("--data", type=Path, help="drive to prove on (default: structured random images)")
    parser.add_argument(
        "--dataset", choices=("synthetic", "nuscenes", "ddad"), default="synthetic", help="kind of --data"
    )
    parser.add_argument("--parity-frames", type=int, default=4, help="frames of the parity report (default 4)")
    parser.add_argument("--workspace-mib", type=int, default=2048, help="TensorRT: memory of a layer (default 2048)")
    return parser.parse_args()


def parse_size(text: str) -> InputSpec:
    """Return the network input of "HxW"."""
    from surround_depth.imaging import InputSpec

    height, separator, width = text.lower().partition("x")
    if not separator or not (height.isdigit() and width.isdigit()):
        raise ConfigError(f"--size {text!r}: write height x width, for example 256x448")
    return InputSpec(height_px=int(height), width_px=int(width))


def main() -> None:
    arguments = parse_arguments()
    if arguments.cameras < 1 or arguments.parity_frames < 1:
        raise ConfigError("--cameras and --parity-frames must be at least 1")
    input_spec = parse_size(arguments.size) if arguments.size else None
    from surround_depth.export.engine_build import BuildRequest, build_engine
    from surround_depth.export.frames import DriveSource
    from surround_depth.export.parity import parity_table

    request = BuildRequest(
        checkpoint=arguments.checkpoint,
        out=arguments.out,
        engine=arguments.engine,
        n_cameras=arguments.cameras,
        input=input_spec,
        data=DriveSource(arguments.dataset, arguments.data) if arguments.data else None,
        n_parity_frames=arguments.parity_frames,
        workspace_mib=arguments.workspace_mib,
        command=shlex.join(["python", "deploy/build_engine.py", *sys.argv[1:]]),
    )
    manifest = build_engine(request, report=lambda line: print(line, flush=True))
    print(f"\n{parity_table([manifest.parity])}\n")
    print(
        f"engine   {arguments.out}: {manifest.engine} {manifest.precision}, {manifest.n_cameras} cameras x "
        f"{manifest.input.height_px} x {manifest.input.width_px}, {manifest.engine_file.n_bytes / 1e6:.1f} MB"
    )
    print(f"next     python deploy/benchmark.py --engine {shlex.quote(str(arguments.out))}")


if __name__ == "__main__":
    run_cli(main)
