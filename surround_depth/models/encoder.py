"""The shared image encoder: four feature maps at strides 4, 8, 16, 32 from any transformers backbone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from surround_depth.config import parse_config
from surround_depth.errors import ConfigError
from surround_depth.models.backbones import FOUR_SCALE_TYPES, IMAGE_MEAN, IMAGE_STD, N_SCALES, build_backbone
from surround_depth.models.config import EncoderConfig

STRIDES = (4, 8, 16, 32)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of RGB pixels in 0 to 1."""
_CLASSIFIERS_KEYS = ("id2label", "label2id", "architectures", "problem_type", "dtype")
_RGB = 3
_PROBE_PX = 2 * STRIDES[-1]


class Encoder(nn.Module):
    """Turn images [B*N, 3, H, W], normalised by `pixel_mean` and `pixel_std`, into maps at strides 4, 8, 16, 32.

    Parameters that no map depends on (a classifier's last norm) are frozen: they would never get a gradient, which DDP
    waits for.

    Raises:
        ConfigError: the backbone cannot be built or read, or gives other strides.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.backbone = build_backbone(config)
        self.channels: tuple[int, ...] = tuple(self.backbone.channels)
        self.pixel_mean, self.pixel_std = (
            tuple(getattr(self.backbone.config, key, default))
            for key, default in ((IMAGE_MEAN, IMAGENET_MEAN), (IMAGE_STD, IMAGENET_STD))
        )
        """What its weights were trained with, of RGB pixels in 0 to 1: a preset's own, those that the source's
        preprocessor_config.json gives, or ImageNet's."""
        self._require_statistics()
        self._probe()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone(images.to(self.backbone.dtype)).feature_maps)

    def resolved_config(self) -> EncoderConfig:
        """Return the configuration that rebuilds this encoder without its original source."""
        hf_config = self.backbone.config
        options = {k: v for k, v in hf_config.to_diff_dict().items() if k not in _CLASSIFIERS_KEYS}
        stages = {"model_type": hf_config.model_type, "out_features": list(self.backbone.out_features)}
        # through the door of stored configs: nested sequences then equal those that are read back
        return parse_config(EncoderConfig, {"backbone": options | stages}, "encoder")

    def _require_statistics(self) -> None:
        for key, values in ((IMAGE_MEAN, self.pixel_mean), (IMAGE_STD, self.pixel_std)):
            numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in values)
            if len(values) != _RGB or not numbers or (key == IMAGE_STD and min(values) <= 0.0):
                positive = " above 0" if key == IMAGE_STD else ""
                raise ConfigError(f"encoder.backbone.{key}: want three finite numbers{positive}, got {list(values)}")

    def _probe(self) -> None:
        """Run a small image through: check the strides, and freeze what has no part in the maps."""
        was_training = self.backbone.training
        with torch.enable_grad():
            maps = self.backbone.eval()(torch.zeros(1, 3, _PROBE_PX, _PROBE_PX)).feature_maps
            self._require_strides(maps)
            parameters = list(self.backbone.parameters())
            gradients = torch.autograd.grad(sum(m.sum() for m in maps), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)
        self.backbone.train(was_training)

    def _require_strides(self, maps: tuple[Tensor, ...]) -> None:
        strides = tuple(_PROBE_PX // m.shape[-1] for m in maps)
        if len(maps) != N_SCALES or strides != STRIDES or any(m.shape[-1] != m.shape[-2] for m in maps):
            raise ConfigError(
                f"encoder '{self.backbone.config.model_type}' gives strides {strides}; the decoder needs {STRIDES}. "
                f"Known to work: {', '.join(FOUR_SCALE_TYPES)}"
            )
