"""Depth models of a few thousand random weights as transformers saves them, and one that reads depth off grey."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
)

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
_NECK = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 6}
_PREPROCESSING = {"do_normalize": True, "image_mean": MEAN, "image_std": STD, "ensure_multiple_of": 14}


def save_depth_anything(folder: Path, seed: int = 0, **options: Any) -> DepthAnythingForDepthEstimation:
    """Save and return a Depth Anything V2 of width 16; `options` are its configuration's."""
    hf_config = DepthAnythingConfig(
        backbone_config=_dinov2(), reassemble_hidden_size=16, head_hidden_size=4, **_NECK, **options
    )
    return _saved(DepthAnythingForDepthEstimation(hf_config), folder, seed, _PREPROCESSING)


def save_dpt(folder: Path) -> DPTForDepthEstimation:
    """Save and return a DPT on a DINOv2 of width 16, without a preprocessor_config.json."""
    return _saved(DPTForDepthEstimation(DPTConfig(backbone_config=_dinov2(), **_NECK)), folder, 0, None)


def save_square_dpt(folder: Path) -> DPTForDepthEstimation:
    """Save and return a DPT on its own ViT, which takes square pictures only."""
    vit = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    hf_config = DPTConfig(image_size=32, backbone_out_indices=[0, 1, 2, 3], **vit, **_NECK)
    return _saved(DPTForDepthEstimation(hf_config), folder, 0, None)


def _dinov2() -> Dinov2Config:
    return Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
    )


def _saved(model: Any, folder: Path, seed: int, preprocessing: dict[str, Any] | None) -> Any:
    # initial weights are so small that no picture shows in the output
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) * (0.3 if weight.ndim > 1 else 0.1)
    for layer in model.head.modules():
        if isinstance(layer, nn.Conv2d) and layer.out_channels == 1:
            layer.bias.data.fill_(20.0)  # above the last ReLU's kink
    model.eval().save_pretrained(folder)
    if preprocessing is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return model


class GreyIsDepth(nn.Module):
    """A depth model whose output is a function of grey (0 to 1) alone: what it sees is known by hand."""

    def __init__(self, encode: Any) -> None:
        super().__init__()
        self.encode = encode

    def forward(self, pixels: Tensor) -> SimpleNamespace:
        grey = (pixels * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]).mean(1)
        return SimpleNamespace(predicted_depth=self.encode(grey))
