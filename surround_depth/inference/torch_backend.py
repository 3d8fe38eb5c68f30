"""The torch engine: the reference of every parity report, and evaluation straight from a checkpoint. Owns torch here.

The module is passed in, so that inference knows no model; `export.checkpoint.open_checkpoint` opens a directory.
"""

from __future__ import annotations

from typing import Any

import torch

from surround_depth.closing import Closing
from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import EngineSpec, NetworkInputs, NetworkOutputs


class TorchBackend(Closing):
    """Runs a student in eval mode, fp32, on one device that the caller names.

    Args:
        student: a `models.Student`, or any module with its `forward_metric`, which maps (images uint8 [B, N, H, W, 3],
            rays, T_ego_cam, camera_valid) to (depth_m, confidence) [B, N, H, W]. It is moved to `device` and put in
            eval mode.
        spec: what the frames must look like.
        device: "cpu" or "cuda:0"; never chosen silently.
    """

    def __init__(self, student: torch.nn.Module, spec: EngineSpec, *, device: str = "cpu") -> None:
        self.spec = spec
        self._device = torch.device(device)
        self._student: Any = student.to(self._device).eval()

    @torch.inference_mode()
    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        """Return depth and confidence of one frame, as numpy arrays that belong to the caller."""
        if self._student is None:
            raise EngineMismatchError("this torch backend is closed")
        inputs.require(self.spec)
        tensors = [torch.from_numpy(array)[None].to(self._device) for array in inputs.as_feeds().values()]
        depth_m, confidence = self._student.forward_metric(*tensors)
        return NetworkOutputs(depth_m[0].cpu().numpy(), confidence[0].cpu().numpy())

    def close(self) -> None:
        """Let go of the module."""
        self._student = None
