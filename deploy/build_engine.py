#!/usr/bin/env python3
"""Compile a checkpoint into an engine directory, proven in metres against torch.

python deploy/build_engine.py --checkpoint out/student --out build/student
python deploy/build_engine.py --checkpoint out/student --out build/student_rtx --engine tensorrt_rtx --precision fp16
python deploy/build_engine.py --checkpoint out/student --out build/student_int8 --precision int8 --calibration DATA
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from surround_depth.errors import ConfigError, DataError, run_cli

ENGINES = ("auto", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx")
PRECISIONS = ("fp32", "fp16", "int8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with model.safetensors and config.json")
    parser.add_argument("--out", type=Path, required=True, help="engine folder to write, for example build/student")
    parser.add_argument(
        "--engine", choices=ENGINES, default="auto", help="default: the best that is installed, said aloud"
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="default: fp32; fp16 is for GPUs")
    parser.add_argument("--cameras", type=int, default=6, help="camera slots; a rig may use fewer (default 6)")
    parser.add_argument("--size", metavar="HxW", help="network resolution, multiples of 32 (default: as trained)")
    parser.add_argument("--data", type=Path, help="drive to prove on (default: --calibration, else random images)")
    parser.add_argument(
        "--dataset",
        choices=("synthetic", "nuscenes", "ddad"),
        default="synthetic",
        help="kind of --data and --calibration",
    )
    parser.add_argument("--calibration", type=Path, help="int8: drive to read activation ranges off (default: --data)")
    parser.add_argument("--parity-frames", type=int, default=4, help="frames of the parity report (default 4)")
    _add_plan_options(parser)
    return parser.parse_args()


def _add_plan_options(parser: argparse.ArgumentParser) -> None:
    plan = parser.add_argument_group("TensorRT")
    plan.add_argument("--workspace-mib", type=int, default=2048, help="memory of a layer (default 2048)")
    plan.add_argument("--timing-cache", type=Path, metavar="FILE", help="kernel timings to read and to extend")
    plan.add_argument("--hardware-compatible", action="store_true", help="a plan for other GPUs too, from Ampere on")
    plan.add_argument("--version-compatible", action="store_true", help="a plan for later versions of TensorRT too")


def main() -> None:
    arguments = parse_arguments()
    if arguments.cameras < 1 or arguments.parity_frames < 1:
        raise ConfigError("--cameras and --parity-frames must be at least 1")
    if arguments.calibration is not None and arguments.precision != "int8":
        raise ConfigError(f"--calibration is for --precision int8, not {arguments.precision}; leave it out")
    from surround_depth.imaging import parse_size

    input_spec = parse_size("--size", arguments.size) if arguments.size else None
    if not arguments.checkpoint.is_dir():
        raise DataError(f"{arguments.checkpoint}: no such folder; --checkpoint wants what tools/train_fsmde.py wrote")
    if not (arguments.checkpoint / "config.json").is_file():  # before torch is imported, which takes seconds
        raise DataError(f"{arguments.checkpoint}: no config.json; --checkpoint wants what tools/train_fsmde.py wrote")
    from surround_depth.export.engine_build import BuildRequest, build_engine
    from surround_depth.export.engine_choice import choose_engine
    from surround_depth.export.frames import DriveSource
    from surround_depth.export.parity import parity_table
    from surround_depth.export.tensorrt_build import PlanOptions
    from surround_depth.provenance import command_line

    engine = arguments.engine
    if engine == "auto":
        engine, reason = choose_engine()
        print(f"engine   {engine}: {reason} (--engine chooses another)", flush=True)
    request = BuildRequest(
        checkpoint=arguments.checkpoint,
        out=arguments.out,
        engine=engine,
        n_cameras=arguments.cameras,
        precision=arguments.precision,
        input=input_spec,
        data=DriveSource(arguments.dataset, arguments.data) if arguments.data else None,
        calibration=DriveSource(arguments.dataset, arguments.calibration) if arguments.calibration else None,
        n_parity_frames=arguments.parity_frames,
        plan=PlanOptions(
            workspace_mib=arguments.workspace_mib,
            timing_cache=arguments.timing_cache,
            hardware_compatible=arguments.hardware_compatible,
            version_compatible=arguments.version_compatible,
        ),
        command=command_line(),
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
