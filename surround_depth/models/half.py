"""A student whose features are float16 by construction: its exported graph is strongly typed, with float32 islands."""

from __future__ import annotations

import torch
from torch import Tensor

from surround_depth.errors import DataError
from surround_depth.models.islands import Float32Islands, halve
from surround_depth.models.student import Student, StudentOutput

_FLOAT32_PARTS = ("bins",)


class HalfStudent(Student):
    """A copy of a trained student for inference: convolutions and linear layers in float16, the rest in float32.

    Half: encoder, ray embedding, fusion, decoder, head, upsampling weights. Float32: pixels until they are normalised,
    LayerNorm and softmax wherever they occur, rays, ground prior, bins, depth, confidence. Inputs and outputs are those
    of `Student`.

    Args:
        student: it is not changed.

    Raises:
        DataError: a weight or statistic of the student is beyond what float16 holds.
    """

    def __init__(self, student: Student) -> None:
        super().__init__(student.config)
        self.load_state_dict(student.state_dict())
        self.eval()
        for name, part in self.named_children():
            if name not in _FLOAT32_PARTS:
                halve(part)
        self._require_finite()

    def _require_finite(self) -> None:
        """An infinite variance of a batch norm would give a constant channel, and nobody an error."""
        beyond = [name for name, tensor in self.state_dict().items() if not torch.isfinite(tensor).all()]
        if beyond:
            raise DataError(
                f"half student: {beyond[0]} (one of {len(beyond)}) has values that float16 does not hold; "
                "export this student in float32"
            )

    def forward(self, images: Tensor, rays: Tensor, T_ego_cam: Tensor, camera_valid: Tensor) -> StudentOutput:
        """Return what `Student` returns, from the same inputs."""
        with Float32Islands():
            return super().forward(images, rays, T_ego_cam, camera_valid)
