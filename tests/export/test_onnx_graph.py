"""The exporter meets students that engines cannot take: it refuses, and names the module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_engine import SPEC

from surround_depth.errors import EngineMismatchError
from surround_depth.export.onnx_graph import export_onnx


class Sampler(torch.nn.Module):
    def forward(self, features: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.grid_sample(features, grid, align_corners=False)


class BadStudent(torch.nn.Module):
    """A student that warps one picture by the rays, which engines would do wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.sampler = Sampler()

    def forward_metric(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images, rays, T_ego_cam, camera_valid = inputs
        features = images[0].float().permute(0, 3, 1, 2)
        warped = self.sampler(features, rays[0, ..., :2])
        depth_m = torch.nn.functional.interpolate(warped, images.shape[2:4], mode="bilinear").mean(dim=1)[None]
        return depth_m + T_ego_cam.sum(), depth_m * camera_valid[:, :, None, None]


def test_a_module_that_engines_cannot_take_is_named(tmp_path: Path) -> None:
    student: Any = BadStudent()
    with pytest.raises(EngineMismatchError, match=r"GridSample '\S+' of module '[\w.]*sampler': several parsers read"):
        export_onnx(student, SPEC, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


class DataDependentStudent(torch.nn.Module):
    def forward_metric(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = inputs[0][0].float().mean(dim=-1)[None]
        return (pixels, pixels) if bool(pixels.sum() > 0) else (pixels + 1, pixels)


def test_a_student_that_does_not_export_is_one_line(tmp_path: Path) -> None:
    student: Any = DataDependentStudent()
    with pytest.raises(EngineMismatchError, match="does not export to ONNX: ") as caught:
        export_onnx(student, SPEC, tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
