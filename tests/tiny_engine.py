"""An engine small enough to know by heart: depth = 1 + mean(R, G, B) / 4 metres, confidence = camera_valid / 2.

Written with onnx.helper and hashed by hashlib, so it shares no code with the exporter that it stands in for.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec, NetworkInputs

HEIGHT, WIDTH, CAMERAS = 64, 96, 2
SPEC = EngineSpec(InputSpec(height_px=HEIGHT, width_px=WIDTH), CAMERAS, 0.5, 80.0, "0" * 64)


def tiny_graph(opset: int = 18) -> onnx.ModelProto:
    """Return the graph; rays and poses are read and multiplied by zero."""
    n, h, w = CAMERAS, HEIGHT, WIDTH
    inputs = [
        helper.make_tensor_value_info("images", TensorProto.UINT8, [n, h, w, 3]),
        helper.make_tensor_value_info("rays", TensorProto.FLOAT, [n, h // 8, w // 8, 3]),
        helper.make_tensor_value_info("T_ego_cam", TensorProto.FLOAT, [n, 4, 4]),
        helper.make_tensor_value_info("camera_valid", TensorProto.FLOAT, [n]),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [n, h, w]) for name in ("depth_m", "confidence")]
    constants = {
        "quarter": np.float32(0.25), "one": np.float32(1.0), "half": np.float32(0.5), "zero": np.float32(0.0),
        "last": np.array([3], np.int64), "per_camera": np.array([n, 1, 1], np.int64),
        "full": np.array([n, h, w], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], "cast", to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "last"], ["grey"], "mean", keepdims=0),
        helper.make_node("Mul", ["grey", "quarter"], ["scaled"], "scale"),
        helper.make_node("ReduceSum", ["rays"], ["rays_sum"], "rays_sum", keepdims=0),
        helper.make_node("ReduceSum", ["T_ego_cam"], ["poses_sum"], "poses_sum", keepdims=0),
        helper.make_node("Add", ["rays_sum", "poses_sum"], ["sums"], "sums"),
        helper.make_node("Mul", ["sums", "zero"], ["nothing"], "nothing"),
        helper.make_node("Add", ["one", "nothing"], ["offset"], "offset"),
        helper.make_node("Add", ["scaled", "offset"], ["depth_m"], "depth"),
        helper.make_node("Mul", ["camera_valid", "half"], ["halved"], "halve"),
        helper.make_node("Reshape", ["halved", "per_camera"], ["column"], "column"),
        helper.make_node("Expand", ["column", "full"], ["confidence"], "expand"),
    ]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def tiny_manifest(onnx_bytes: bytes) -> dict[str, Any]:
    """Return the manifest of the tiny engine as plain JSON values."""
    return {
        "schema_version": 1,
        "engine": "onnxruntime",
        "precision": "fp32",
        "n_cameras": CAMERAS,
        "input": {"height_px": HEIGHT, "width_px": WIDTH, "kernel": "area"},
        "min_depth_m": 0.5,
        "max_depth_m": 80.0,
        "onnx": {"name": "model.onnx", "sha256": hashlib.sha256(onnx_bytes).hexdigest(), "n_bytes": len(onnx_bytes)},
        "plan": None,
        "tensorrt": None,
        "checkpoint": {"name": "tiny", "weights_sha256": "a" * 64, "config_sha256": "b" * 64},
        "parity": {
            "reference": "by heart", "candidate": "onnxruntime fp32", "frames": "none", "n_frames": 1,
            "abs_rel_difference": 0.0, "p99_relative": 0.0, "p99_m": 0.0, "max_m": 0.0, "share_beyond_1pct": 0.0,
            "max_confidence_difference": 0.0,
        },
        "licences": [],
        "versions": {},
        "host": {},
        "build_command": "by hand",
        "created_utc": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip


def write_tiny_engine(directory: Path, graph: onnx.ModelProto | None = None, **changes: Any) -> Path:
    """Write the tiny engine, or another graph, to `directory`, with keys of its manifest changed, and return it."""
    directory.mkdir(mode=0o755, exist_ok=True)
    content = (graph or tiny_graph()).SerializeToString()
    (directory / "model.onnx").write_bytes(content)
    (directory / "model.json").write_text(json.dumps(tiny_manifest(content) | changes))
    return directory


def tiny_inputs(seed: int = 0, **changes: np.ndarray) -> NetworkInputs:
    """Return random inputs for the tiny engine, with fields replaced by `changes`."""
    rng = np.random.default_rng(seed)
    rays = rng.normal(size=(CAMERAS, HEIGHT // 8, WIDTH // 8, 3)).astype(np.float32)
    fields: dict[str, np.ndarray] = {
        "images": rng.integers(0, 256, (CAMERAS, HEIGHT, WIDTH, 3), dtype=np.uint8),
        "rays": rays / np.linalg.norm(rays, axis=-1, keepdims=True),
        "T_ego_cam": np.tile(np.eye(4, dtype=np.float32), (CAMERAS, 1, 1)),
        "camera_valid": np.array([1.0, 0.0], np.float32),
    }
    return NetworkInputs(**(fields | changes))
