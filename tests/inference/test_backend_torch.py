from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_engine import SPEC, tiny_inputs

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.torch_backend import TorchBackend


class ByHeart(torch.nn.Module):
    """The tiny engine in torch, wrong in training mode."""

    def forward_metric(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images, rays, T_ego_cam, camera_valid = inputs
        assert images.dtype == torch.uint8
        assert rays.shape[:2] == T_ego_cam.shape[:2] == (1, 2)
        depth_m = 1.0 + images.float().mean(dim=-1) / 4.0 + (1.0 if self.training else 0.0)
        return depth_m, (camera_valid / 2.0)[:, :, None, None].expand_as(depth_m)


def test_a_module_runs_as_an_engine_does() -> None:
    inputs = tiny_inputs()
    with TorchBackend(ByHeart().train(), SPEC) as backend:
        outputs = backend.infer(inputs)
    np.testing.assert_allclose(outputs.depth_m, 1.0 + inputs.images.mean(axis=-1) / 4.0, rtol=1e-6)
    np.testing.assert_array_equal(outputs.confidence[:, 0, 0], [0.5, 0.0])
    assert outputs.depth_m.dtype == outputs.confidence.dtype == np.float32
    with pytest.raises(EngineMismatchError, match="closed"):
        backend.infer(inputs)
