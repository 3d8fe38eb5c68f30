"""A network that is only there to be compared with: exported with random weights, run as the engine beside it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from surround_depth.errors import ConfigError
from surround_depth.export.audit import OPSET
from surround_depth.export.onnx_graph import quiet_exporter
from surround_depth.inference.manifest import EngineKind
from surround_depth.inference.onnxruntime_backend import open_session
from surround_depth.inference.openvino_backend import compile_graph


@dataclass(frozen=True)
class ReferenceGraph:
    """One frame of a rig through a foreign network; `run` computes it, always on the same random picture."""

    n_parameters: int
    run: Callable[[], object]


def export_reference(network: nn.Module, pixels: tuple[int, ...], path: Path) -> int:
    """Write a network of one input (float32, of the shape `pixels`) as ONNX; return how many parameters it has.

    The largest hold over a gigabyte: their weights lie in a second file beside `path`.
    """
    with torch.no_grad(), quiet_exporter():
        torch.onnx.export(
            network.eval(),
            (torch.zeros(pixels),),
            str(path),
            input_names=["pixels"],
            output_names=["depth"],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    return sum(parameter.numel() for parameter in network.parameters())


def open_reference(
    path: Path, pixels: tuple[int, ...], n_parameters: int, threads: int, engine: EngineKind
) -> ReferenceGraph:
    """Return an exported graph in the runtime of `engine`; it has run once.

    Raises:
        ConfigError: a TensorRT engine: what is compared with it would have to be built as a plan first.
    """
    feeds = {"pixels": np.random.default_rng(0).standard_normal(pixels, dtype=np.float32)}
    run: Callable[[], object]
    if engine == "onnxruntime":
        session = open_session(path, threads)
        run = lambda: session.run(None, feeds)  # noqa: E731
    elif engine == "openvino":
        request = compile_graph(path, threads).create_infer_request()
        run = lambda: request.infer(feeds)  # noqa: E731
    else:
        raise ConfigError(
            f"a reference network runs beside a CPU engine (onnxruntime, openvino), not beside {engine}; "
            "on a GPU see tools/benchmark_gpu.py"
        )
    run()
    return ReferenceGraph(n_parameters, run)
