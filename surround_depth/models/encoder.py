"""The shared image encoder: four feature maps at strides 4, 8, 16, 32 from any transformers backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from surround_depth.errors import ConfigError
from surround_depth.models.config import EncoderConfig

STRIDES = (4, 8, 16, 32)
N_SCALES = len(STRIDES)


class Encoder(nn.Module):
    """Turn normalised images [B*N, 3, H, W] into feature maps at strides 4, 8, 16, 32."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.backbone = _build_backbone(config)
        self.channels: tuple[int, ...] = tuple(self.backbone.channels)
        self._require_strides()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone(images.to(self.backbone.dtype)).feature_maps)

    def resolved_config(self) -> EncoderConfig:
        """Return the configuration that rebuilds this encoder without its original source."""
        return EncoderConfig(backbone=self.backbone.config.to_diff_dict() | _stages(self.backbone))

    @torch.no_grad()
    def _require_strides(self) -> None:
        side_px = 2 * STRIDES[-1]
        was_training = self.backbone.training
        maps = self.backbone.eval()(torch.zeros(1, 3, side_px, side_px)).feature_maps
        self.backbone.train(was_training)
        strides = tuple(side_px // m.shape[-1] for m in maps)
        if strides != STRIDES:
            name = self.backbone.config.model_type
            raise ConfigError(f"encoder '{name}' gives strides {strides}; the decoder needs {STRIDES}")


def _stages(backbone: Any) -> dict[str, Any]:
    return {"model_type": backbone.config.model_type, "out_features": list(backbone.out_features)}


def _build_backbone(config: EncoderConfig) -> Any:
    from transformers import AutoBackbone, AutoConfig

    if config.source is not None:
        local_only = not config.allow_download
        try:
            hf_config = AutoConfig.from_pretrained(config.source, local_files_only=local_only)
            hf_config.out_features = list(hf_config.stage_names[-N_SCALES:])
            # the class itself loads any local directory; AutoBackbone takes hub-like names only
            backbone_class = type(AutoBackbone.from_config(hf_config))
            return backbone_class.from_pretrained(config.source, config=hf_config, local_files_only=local_only)
        except (OSError, ValueError) as error:
            absent = local_only and not Path(config.source).is_dir()
            hint = "it is not a local directory; set encoder.allow_download=true to fetch it" if absent else error
            raise ConfigError(f"encoder source '{config.source}': {hint}") from error
    options = dict(config.backbone)
    hf_config = AutoConfig.for_model(options.pop("model_type"), **options)
    hf_config.out_features = list(options.get("out_features", hf_config.stage_names[-N_SCALES:]))
    return AutoBackbone.from_config(hf_config)
