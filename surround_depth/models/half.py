"""A student whose features are float16 by construction: its exported graph is strongly typed, with float32 islands."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

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
        DataError: a weight of the student is beyond what float16 holds.
    """

    def __init__(self, student: Student) -> None:
        super().__init__(student.config)
        self.load_state_dict(student.state_dict())
        self.eval()
        fold_norms(self)  # in float32: the variance of a channel may be beyond float16 where its values are not
        for name, part in self.named_children():
            if name not in _FLOAT32_PARTS:
                halve(part)
        self._require_finite()

    def _require_finite(self) -> None:
        """An infinite weight would give a constant channel, and nobody an error."""
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


def fold_norms(module: nn.Module) -> None:
    """Fold every batch norm into the convolution that its module lists right before it, as engines do; in place.

    Args:
        module: in eval mode.
    """
    children = list(module.named_children())
    for (_, conv), (name, norm) in pairwise(children):
        if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
            continue
        if norm.num_features == conv.out_channels:
            fused = fuse_conv_bn_eval(conv, norm)
            conv.weight, conv.bias = fused.weight, fused.bias
            setattr(module, name, nn.Identity())
    for _, child in children:
        fold_norms(child)
