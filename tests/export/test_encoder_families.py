"""Every encoder family exports, and ONNX Runtime, which knows nothing of torch, computes the same metres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extreme_inputs import CAMERAS, HEIGHT_PX, WIDTH_PX, extreme_inputs
from tiny_backbones import TINY_BACKBONES

from surround_depth.export.onnx_graph import export_onnx
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec, NetworkInputs
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend
from surround_depth.models.config import BinConfig, EncoderConfig, StudentConfig
from surround_depth.models.student import Student

torch.set_num_threads(1)

SPEC = EngineSpec(InputSpec(height_px=HEIGHT_PX, width_px=WIDTH_PX), CAMERAS, 0.5, 80.0, model_hash="")


def tiny_student(name: str) -> Student:
    torch.manual_seed(0)
    encoder = EncoderConfig(backbone={"model_type": name, **TINY_BACKBONES[name]})
    sizes: dict[str, Any] = {"geometry_channels": 8, "fusion_heads": 2, "decoder_channels": (16, 16, 8, 8)}
    student = Student(StudentConfig(encoder=encoder, bins=BinConfig(n_bins=16), **sizes))
    # untrained, a student barely looks at the image: give it the batch's statistics, and a head that decides
    for module in student.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    student.train()(*extreme_inputs()["usual"])
    torch.nn.init.normal_(student.head.weight, std=2.0)
    return student.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TINY_BACKBONES if name != "resnet"])  # resnet: test_half_graph, demo
def test_a_family_exports_and_agrees_with_torch(name: str, tmp_path: Path) -> None:
    student = tiny_student(name)
    export_onnx(student, SPEC, tmp_path / "model.onnx")
    tensors = extreme_inputs()["usual"]
    with torch.no_grad():
        depth_m = student(*tensors).depth_m[0].numpy()
    with OnnxRuntimeBackend((tmp_path / "model.onnx").read_bytes(), SPEC, threads=1) as engine:
        outputs = engine.infer(NetworkInputs(*(tensor[0].contiguous().numpy() for tensor in tensors)))
    assert depth_m.std() > 1.0  # the image does reach the depth
    # the head is drawn sharp on purpose: it makes a millimetre of what float32 rounds in the features
    np.testing.assert_allclose(outputs.depth_m, depth_m, rtol=1e-3)
