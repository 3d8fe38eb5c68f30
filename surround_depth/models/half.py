"""A student whose features are float16 by construction: its exported graph is strongly typed, with float32 islands."""

from __future__ import annotations

from torch import Tensor

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
    """

    def __init__(self, student: Student) -> None:
        super().__init__(student.config)
        self.load_state_dict(student.state_dict())
        self.eval()
        for name, part in self.named_children():
            if name not in _FLOAT32_PARTS:
                halve(part)

    def forward(self, images: Tensor, rays: Tensor, T_ego_cam: Tensor, camera_valid: Tensor) -> StudentOutput:
        """Return what `Student` returns, from the same inputs."""
        with Float32Islands():
            return super().forward(images, rays, T_ego_cam, camera_valid)
