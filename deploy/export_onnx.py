#!/usr/bin/env python3
"""Write a checkpoint as one audited ONNX file, for a runtime of your own. build_engine.py does this and proves it.

python deploy/export_onnx.py --checkpoint out/student --out student.onnx
python deploy/export_onnx.py --checkpoint out/student --out student_fp16.onnx --precision fp16
"""

from __future__ import annotations

import argparse
from pathlib import Path

from surround_depth.errors import ConfigError, run_cli


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with model.safetensors and config.json")
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    parser.add_argument(
        "--precision", choices=("fp32", "fp16"), default="fp32", help="default: fp32; build_engine.py makes int8"
    )
    parser.add_argument("--cameras", type=int, default=6, help="camera slots of the graph (default 6)")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.cameras < 1:
        raise ConfigError("--cameras must be at least 1")
    from surround_depth.export.checkpoint import read_trained_student
    from surround_depth.export.precision import export_at

    trained = read_trained_student(arguments.checkpoint)
    spec = trained.engine_spec(arguments.cameras)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    graph = export_at(arguments.precision, trained.student, spec, arguments.out)
    size_mb = arguments.out.stat().st_size / 1e6
    print(f"{arguments.out}: {len(graph.graph.node)} nodes, {size_mb:.1f} MB, opset 18")
    for name, shape in (spec.input_shapes() | spec.output_shapes()).items():
        print(f"  {name:13s} {'uint8' if name == 'images' else 'float32':8s} {list(shape)}")


if __name__ == "__main__":
    run_cli(main)
