"""Students by name, from under one to over thirty million parameters.

`tools/benchmark_students.py` measures what each costs; its table is the ground for choosing one.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from surround_depth.errors import ConfigError
from surround_depth.models.backbones import IMAGE_MEAN, IMAGE_STD
from surround_depth.models.config import BinConfig, EncoderConfig, StudentConfig

Preset = Literal["pico", "nano", "small", "base", "large", "convnext_atto", "pvt_b0"]
"""`pico` to `base` are ResNet-18 at three sixteenths, a quarter, half and all of its width, `large` is ResNet-34: of
the families measured it does most multiplications a second on a CPU. The others have the shape of published weights
that are small for what they know: start them with `encoder.source` (facebook/convnextv2-atto-1k-224,
OpenGVLab/pvt_v2_b0)."""
PRESETS: tuple[Preset, ...] = get_args(Preset)

_RESNET_18 = (2, 2, 2, 2)
_RESNET_34 = (3, 4, 6, 3)


def resnet_backbone(hidden_sizes: tuple[int, int, int, int], depths: tuple[int, int, int, int]) -> dict[str, Any]:
    """Return the transformers configuration of a basic-block ResNet of these widths.

    Pixels become (p - 128) / 64, the same for all channels: eight bits hold that without rounding, signed or not, so
    the first convolution can be int8 as well. Its batch norm makes up for what the pictures' own mean is.
    """
    return {
        "model_type": "resnet",
        "embedding_size": hidden_sizes[0],
        "hidden_sizes": list(hidden_sizes),
        "depths": list(depths),
        "layer_type": "basic",
        "hidden_act": "relu",
        IMAGE_MEAN: [128 / 255] * 3,
        IMAGE_STD: [64 / 255] * 3,
    }


def student_preset(preset: Preset, bins: BinConfig | None = None) -> StudentConfig:
    """Return the student of this name, untrained.

    Raises:
        ConfigError: there is no preset of this name.
    """
    bins = bins or BinConfig()
    middle: dict[str, Any] = {"geometry_channels": 48, "decoder_channels": (160, 96, 64, 48), "fusion_layers": 2}
    wide: dict[str, Any] = {"geometry_channels": 64, "fusion_heads": 8}
    match preset:
        case "pico":
            backbone = resnet_backbone((12, 24, 48, 96), _RESNET_18)
            sizes: dict[str, Any] = {"geometry_channels": 24, "decoder_channels": (64, 48, 32, 24)}
        case "nano":
            backbone, sizes = resnet_backbone((16, 32, 64, 128), _RESNET_18), {}
        case "small":
            backbone, sizes = resnet_backbone((32, 64, 128, 256), _RESNET_18), middle
        case "base":
            backbone = resnet_backbone((64, 128, 256, 512), _RESNET_18)
            sizes = wide | {"decoder_channels": (256, 160, 96, 64), "fusion_layers": 2}
        case "large":
            backbone = resnet_backbone((64, 128, 256, 512), _RESNET_34)
            sizes = wide | {"decoder_channels": (320, 192, 128, 64), "fusion_layers": 3}
        case "convnext_atto":
            backbone = {"model_type": "convnextv2", "hidden_sizes": [40, 80, 160, 320], "depths": [2, 2, 6, 2]}
            sizes = middle
        case "pvt_b0":
            backbone = {"model_type": "pvt_v2", "hidden_sizes": [32, 64, 160, 256], "depths": [2, 2, 2, 2]}
            sizes = middle
        case _:
            raise ConfigError(f"student preset '{preset}' is unknown; choose one of {', '.join(PRESETS)}")
    return StudentConfig(encoder=EncoderConfig(backbone=backbone), bins=bins, **sizes)
