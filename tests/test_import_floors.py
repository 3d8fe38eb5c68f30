"""Imports go down only. The map below is the design; a module that is not on it fails, so the map stays complete."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "surround_depth"

FLOOR = {
    **dict.fromkeys(
        (
            "geometry",
            "rig",
            "frame",
            "errors",
            "config",
            "closing",
            "files",
            "provenance",
            "pretrained",
            "jit",
            "window",
        ),
        0,
    ),
    **dict.fromkeys(("imaging", "fusion", "metrics", "calibration"), 1),
    **dict.fromkeys(("data", "models", "teachers", "losses", "inference", "viz"), 2),
    **dict.fromkeys(("training", "evaluation", "export", "runtime"), 3),
    **dict.fromkeys(("benchmarks", "studies"), 4),  # for tools/ and tests/ alone
}
# Everything numeric below floor 2, the readers and the vehicle's runtime run without these.
TORCH_FLOORS = ("models", "teachers", "losses", "training", "export", "benchmarks", "studies")
TORCH_OWNERS = (*TORCH_FLOORS, "inference.torch_backend")
HEAVY_OWNERS = {
    "torch": TORCH_OWNERS,
    "PIL": ("benchmarks.research_loader",),
    "transformers": ("pretrained", "models", "teachers", "benchmarks.teachers"),
    "safetensors": ("models", "training", "teachers.stereo_checkpoint"),
    "tensorboard": ("training",),
    "accelerate": ("training",),
    "wandb": ("training",),
    "open3d": ("data.synthetic",),
    "onnx": ("export",),
    "scipy": ("metrics.cloud",),
    "onnxscript": ("export",),
    "onnxruntime": ("inference.onnxruntime_backend", "export.quantize"),
    "openvino": ("inference.openvino_backend",),
    "tensorrt": ("inference.tensorrt_library",),
    "tensorrt_rtx": ("inference.tensorrt_library",),
    "cuda": ("inference.cuda_bindings_device", "inference.kernel_compiler"),
    "pycuda": ("inference.pycuda_device",),
    "rerun": ("viz.rerun_sink",),
}


def imported_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import, wherever it stands; `from a import b` yields a.b.

    `importlib.import_module("a")` counts as well, where the name is written out.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level
            else:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            literals = [argument for argument in node.args[:1] if isinstance(argument, ast.Constant)]
            yield from ((node.lineno, str(literal.value)) for literal in literals)


def is_inside(module: str, owner: str) -> bool:
    """True when dotted `module` is `owner` or below it."""
    return module == owner or module.startswith(owner + ".")


def sibling_fault(module: str, target: str) -> str | None:
    """Say what is wrong with `module` (dotted, package-relative) importing the part `target` (its first name)."""
    part = module.split(".")[0]
    if target == part:
        return None
    if target not in FLOOR:
        return f"imports {PACKAGE}.{target}, which is on no floor"
    if FLOOR[target] > FLOOR[part]:
        return f"is on floor {FLOOR[part]} and imports {target} on floor {FLOOR[target]}"
    if FLOOR[target] == FLOOR[part] and FLOOR[part] > 0:
        return f"imports its sibling {target} on floor {FLOOR[part]}: move the shared need down or pass it in"
    return None


def floor_faults(module: str, source: str) -> list[str]:
    """List every breach of the floors in the source of `module` (dotted, relative to the package)."""
    part = module.split(".")[0]
    if part not in FLOOR:
        return [f"{module}: is on no floor; add it to the map here and to the design"]
    faults = []
    for line, name in imported_names(source):
        top, *rest = name.split(".")
        if not top:
            faults.append(f"{module}:{line}: relative import")
        elif top == PACKAGE and rest and rest[0] != "__version__":
            fault = sibling_fault(module, rest[0])
            faults += [f"{module}:{line}: {fault}"] if fault else []
        elif top in HEAVY_OWNERS and not any(is_inside(module, owner) for owner in HEAVY_OWNERS[top]):
            faults.append(f"{module}:{line}: imports {top}, owned by {', '.join(HEAVY_OWNERS[top])}")
    return faults


def modules(checkout: Path) -> Iterator[tuple[str, Path]]:
    """Yield (dotted package-relative name, path) of every module below the package, its own __init__ left out."""
    root = checkout / PACKAGE
    for path in sorted(root.rglob("*.py")):
        names = path.relative_to(root).with_suffix("").parts
        name = ".".join(names[:-1] if names[-1] == "__init__" else names)
        if name:
            yield name, path


def test_imports_go_down_only(checkout: Path) -> None:
    faults = [fault for name, path in modules(checkout) for fault in floor_faults(name, path.read_text())]
    assert not faults, "\n".join(faults)


def test_scripts_do_not_touch_sys_path(checkout: Path) -> None:
    scripts = [path for folder in ("tools", "deploy", "calib") for path in (checkout / folder).glob("*.py")]
    assert scripts
    assert not [path.name for path in scripts if "sys.path" in path.read_text()]


@pytest.mark.parametrize(
    "module, source, complaint",
    [
        ("geometry", "import surround_depth.imaging", "floor 0"),
        ("fusion.fuse", "from surround_depth.inference.pipeline import SurroundDepthPipeline", "floor 1"),
        ("fusion.fuse", "from surround_depth import metrics", "sibling metrics"),
        ("data.nuscenes", "def f():\n    from surround_depth.losses import bins", "sibling losses"),
        ("data.nuscenes", "def f():\n    import torch", "imports torch"),
        ("runtime.player", "import torch.nn as nn", "imports torch"),
        ("training.loop", "from surround_depth.benchmarks import lidar_numpy", "floor 4"),
        ("benchmarks.lidar", "from PIL import Image", "imports PIL"),
        ("inference.pipeline", "import onnxruntime", "imports onnxruntime"),
        ("inference.pipeline", "import importlib\nimportlib.import_module('tensorrt_rtx')", "imports tensorrt_rtx"),
        ("inference.tensorrt_backend", "from pycuda import driver", "imports pycuda"),
        ("runtime.player", "rt = __import__('cuda.bindings.runtime')", "imports cuda"),
        ("viz.mosaic", "from surround_depth.utils import clamp", "on no floor"),
        ("utils", "import numpy", "on no floor"),
        ("rig", "from . import geometry", "relative import"),
    ],
)
def test_the_guard_bites(module: str, source: str, complaint: str) -> None:
    (fault,) = floor_faults(module, source)
    assert complaint in fault


@pytest.mark.parametrize(
    "module, source",
    [
        ("rig", "from surround_depth.geometry import invert_rigid"),
        ("evaluation.run", "from surround_depth.inference.pipeline import SurroundDepthPipeline"),
        ("inference.onnxruntime_backend", "import onnxruntime as ort"),
        ("training.loop", "import torch"),
        ("benchmarks.loading", "from surround_depth.training.dataset import collate"),
        ("inference.tensorrt_library", "def f(kind):\n    importlib.import_module(kind)"),
        ("inference.cuda_bindings_device", "import_module('cuda.bindings.runtime')"),
        ("inference.pycuda_device", "from pycuda import driver"),
    ],
)
def test_the_guard_lets_pass(module: str, source: str) -> None:
    assert floor_faults(module, source) == []
