"""Networks that engines are raced against: Depth Anything V2's shapes, and one of SurroundDepth's size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from surround_depth.benchmarks.reference_graph import ReferenceGraph, export_reference, open_reference
from surround_depth.benchmarks.surrounddepth_size import SurroundDepthSized
from surround_depth.benchmarks.teachers import DepthOnly, teacher_model, teacher_size
from surround_depth.imaging import InputSpec
from surround_depth.inference.manifest import EngineKind

RivalName = Literal["dav2-s", "dav2-b", "dav2-l", "surrounddepth"]
_DAV2: dict[str, Literal["S", "B", "L"]] = {"dav2-s": "S", "dav2-b": "B", "dav2-l": "L"}


@dataclass(frozen=True)
class Rival:
    """A network of random weights that has run once."""

    name: RivalName
    label: str
    """What it is, with its parameters."""
    height_px: int
    width_px: int
    graph: ReferenceGraph


def open_rival(
    name: RivalName, input: InputSpec, n_cameras: int, threads: int, folder: Path, engine: EngineKind
) -> Rival:
    """Return a rival in the runtime of `engine`, in fp32, for as many pixels as a student of `input` sees.

    Its file stays in `folder`, which must outlive it.

    Raises:
        ConfigError: an engine of a GPU.
    """
    path = folder / f"{name}.onnx"
    network: nn.Module
    if name == "surrounddepth":
        network, label, size = (
            SurroundDepthSized(),
            "a network of SurroundDepth's size",
            (input.height_px, input.width_px),
        )
    else:
        shape = _DAV2[name]
        network, label, size = DepthOnly(teacher_model(shape)), f"Depth Anything V2 {shape}", teacher_size(input)
    pixels = (n_cameras, 3, *size)
    n_parameters = export_reference(network, pixels, path)
    graph = open_reference(path, pixels, n_parameters, threads, engine)
    return Rival(name, f"{label} ({n_parameters / 1e6:.1f} M)", *size, graph)
