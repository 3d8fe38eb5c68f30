"""One tiny untrained backbone of each family: options for `EncoderConfig.backbone`, 64 x 96 pixel inputs and up."""

from __future__ import annotations

from typing import Any

_ONE_BLOCK = [1, 1, 1, 1]
_HEADS = [1, 1, 2, 2]
_SIZES = {"hidden_sizes": [8, 8, 16, 16], "depths": _ONE_BLOCK}
_WINDOWS = {"embed_dim": 8, "depths": [2, 1, 1, 1], "num_heads": _HEADS, "window_size": 2, "image_size": 64}

TINY_BACKBONES: dict[str, dict[str, Any]] = {
    "resnet": {"embedding_size": 8, "layer_type": "basic", **_SIZES},
    "convnextv2": _SIZES,
    "dinov3_convnext": _SIZES,
    "hgnet_v2": {
        "embedding_size": 8,
        "stem_channels": [3, 8, 8],
        "stage_in_channels": [8, 8, 8, 16],
        "stage_mid_channels": [8, 8, 8, 8],
        "stage_out_channels": [8, 8, 16, 16],
        "stage_num_blocks": _ONE_BLOCK,
        "stage_numb_of_layers": [2, 2, 2, 2],
        **_SIZES,
    },
    "pvt_v2": {"num_attention_heads": _HEADS, "mlp_ratios": [2, 2, 2, 2], **_SIZES},
    "swin": _WINDOWS,
    "swinv2": _WINDOWS,
    "pp_lcnet": {"scale": 0.125},
}
