"""Depth Anything V2 in its three published shapes, with random weights: what a graph costs does not depend on them."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from surround_depth.imaging import InputSpec

TeacherShape = Literal["S", "B", "L"]
TEACHER_SHAPES: tuple[TeacherShape, ...] = get_args(TeacherShape)
PATCH_PX = 14
# hidden size, heads, layers, the four layers that the head looks at, widths of the neck, width of the fusion: as in the
# published configurations of depth-anything/Depth-Anything-V2-{Small,Base,Large}-hf
_SHAPES: dict[TeacherShape, tuple[int, int, int, tuple[int, ...], tuple[int, ...], int]] = {
    "S": (384, 6, 12, (3, 6, 9, 12), (48, 96, 192, 384), 64),
    "B": (768, 12, 12, (3, 6, 9, 12), (96, 192, 384, 768), 128),
    "L": (1024, 16, 24, (5, 12, 18, 24), (256, 512, 1024, 1024), 256),
}


def teacher_model(shape: TeacherShape) -> nn.Module:
    """Return Depth Anything V2 of a published shape with random weights, in eval mode."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    hidden, heads, layers, stages, neck, fusion = _SHAPES[shape]
    backbone = Dinov2Config(
        hidden_size=hidden,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        patch_size=PATCH_PX,
        image_size=518,
        out_features=[f"stage{stage}" for stage in stages],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=PATCH_PX,
        reassemble_hidden_size=hidden,
        neck_hidden_sizes=list(neck),
        fusion_hidden_size=fusion,
        head_in_index=-1,
    )
    model: nn.Module = DepthAnythingForDepthEstimation(config).eval()
    return model


def teacher_size(input: InputSpec) -> tuple[int, int]:
    """Return the teacher's size for a student's: the nearest whole patches, so that both see as many pixels."""
    height, width = (max(1, round(side / PATCH_PX)) * PATCH_PX for side in (input.height_px, input.width_px))
    return height, width


class DepthOnly(nn.Module):
    """A teacher that returns its depth alone [N, h, w], as an exported graph must."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        depth: Tensor = self.model(pixel_values=pixels).predicted_depth
        return depth
