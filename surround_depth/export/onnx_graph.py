"""A student as one ONNX file: opset 18, static shapes, the engine's tensor names, no external data. Owns torch.onnx."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from surround_depth.errors import EngineMismatchError
from surround_depth.export.audit import OPSET, audit_graph
from surround_depth.export.graph_names import SCOPE_KEY
from surround_depth.inference.backend import INPUT_NAMES, OUTPUT_NAMES, EngineSpec
from surround_depth.models.student import MetricStudent, Student


def export_onnx(student: Student, spec: EngineSpec, path: Path) -> onnx.ModelProto:
    """Write the student as a checked and audited ONNX file and return the graph.

    Args:
        student: in any mode; it is exported in eval mode and left in it.
        spec: number of cameras and resolution, baked in as static shapes.
        path: the file to write; its folder exists.

    Raises:
        EngineMismatchError: the exporter fails, or the graph holds something that engines cannot take.
    """
    example = tuple(torch.from_numpy(array) for array in _example_inputs(spec).values())
    graph = MetricStudent(student).eval()
    with torch.no_grad(), quiet_exporter():
        try:
            program: Any = torch.onnx.export(
                graph,
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(INPUT_NAMES),
                output_names=list(OUTPUT_NAMES),
                external_data=False,
                optimize=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise EngineMismatchError(f"the student does not export to ONNX: {_first_line(error)}") from error
    model: onnx.ModelProto = program.model_proto
    _strip_metadata(model)
    audit_graph(model, spec)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return model


def _example_inputs(spec: EngineSpec) -> dict[str, np.ndarray]:
    """Inputs of the right shapes; their values do not matter to a traced graph, but poses stay proper."""
    shapes = spec.input_shapes()
    rays = np.zeros(shapes["rays"], np.float32)
    rays[..., 2] = 1.0
    return {
        "images": np.zeros(shapes["images"], np.uint8),
        "rays": rays,
        "T_ego_cam": np.tile(np.eye(4, dtype=np.float32), (spec.n_cameras, 1, 1)),
        "camera_valid": np.ones(shapes["camera_valid"], np.float32),
    }


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """The exporter prints its progress, logs the packages it did without, and meets deprecations of its own."""
    logger = logging.getLogger("torch.onnx._internal.exporter")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _strip_metadata(model: onnx.ModelProto) -> None:
    """Keep of the exporter's notes only which module made a node: stack traces hold paths of this machine."""
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key == SCOPE_KEY]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)[:300]
