"""Students by name."""

from __future__ import annotations

from typing import Any, Literal

from surround_depth.errors import ConfigError
from surround_depth.models.config import BinConfig, EncoderConfig, StudentConfig

Preset = Literal["nano", "small", "base"]


def resnet_backbone(hidden_sizes: tuple[int, int, int, int], depths: tuple[int, int, int, int]) -> dict[str, Any]:
    """Return the transformers configuration of a basic-block ResNet of these widths."""
    return {
        "model_type": "resnet",
        "embedding_size": hidden_sizes[0],
        "hidden_sizes": list(hidden_sizes),
        "depths": list(depths),
        "layer_type": "basic",
        "hidden_act": "relu",
    }


def student_preset(preset: Preset, bins: BinConfig | None = None) -> StudentConfig:
    """Return the named student: `nano` (quarter-width ResNet-18, 1.1 M parameters), `small` (half), `base` (full)."""
    bins = bins or BinConfig()
    match preset:
        case "nano":
            encoder = EncoderConfig(backbone=resnet_backbone((16, 32, 64, 128), (2, 2, 2, 2)))
            return StudentConfig(encoder=encoder, bins=bins)
        case "small":
            encoder = EncoderConfig(backbone=resnet_backbone((32, 64, 128, 256), (2, 2, 2, 2)))
            return StudentConfig(
                encoder=encoder, geometry_channels=48, decoder_channels=(160, 96, 64, 48), fusion_layers=2, bins=bins
            )
        case "base":
            encoder = EncoderConfig(backbone=resnet_backbone((64, 128, 256, 512), (2, 2, 2, 2)))
            return StudentConfig(
                encoder=encoder,
                geometry_channels=64,
                decoder_channels=(256, 160, 96, 64),
                fusion_layers=2,
                fusion_heads=8,
                bins=bins,
            )
        case _:
            raise ConfigError(f"student preset '{preset}' is unknown; choose nano, small or base")
