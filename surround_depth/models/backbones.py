"""A four-scale backbone of transformers: untrained from a configuration, or pretrained from a directory or the hub."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from surround_depth.errors import ConfigError
from surround_depth.models.config import EncoderConfig
from surround_depth.pretrained import one_line, quiet_transformers

N_SCALES = 4
IMAGE_MEAN = "image_mean"
IMAGE_STD = "image_std"
"""Keys of `EncoderConfig.backbone` beside transformers' own: the statistics of the pixels, in 0 to 1, that the weights
were trained on, as in a preprocessor_config.json. ImageNet's where they are not given."""

FOUR_SCALE_TYPES = (
    "resnet",
    "convnextv2",
    "dinov3_convnext",
    "hgnet_v2",
    "pvt_v2",
    "swin",
    "swinv2",
    "pp_lcnet",
)
"""Those that the tests build, train, store, export and run. Others are tried, and refused where they do not fit."""

_PREPROCESSING = "preprocessor_config.json"
# A classifier's weights have no norms on the maps between its stages; a backbone starts them at one and zero.
_NEW_IN_BACKBONES = "hidden_states_norms."


def build_backbone(config: EncoderConfig) -> Any:
    """Return the transformers backbone that gives the last four of its maps, from `source` or else untrained.

    Raises:
        ConfigError: unknown type or key, a source that cannot be read, is no backbone, or lacks some of the weights.
    """
    return _untrained(config.backbone) if config.source is None else _pretrained(config, config.source)


def _untrained(backbone: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    options = dict(backbone)
    name = options.pop("model_type")
    try:
        _require_known_keys(AutoConfig.for_model(name), options)
        hf_config = AutoConfig.for_model(name, **options)
        backbone_class = _backbone_class(hf_config)
        hf_config.out_features = list(options.get("out_features", hf_config.stage_names[-N_SCALES:]))
        for key, value in vars(hf_config).items():  # some defaults are tuples, which their own models cannot take
            if isinstance(value, tuple):
                setattr(hf_config, key, list(value))
        return backbone_class(hf_config)
    except ConfigError:
        raise
    except Exception as error:  # transformers raises whatever its validators and models happen to raise
        raise ConfigError(f"encoder.backbone: {name!r} cannot be built: {one_line(error)}. {_advice()}") from error


def _pretrained(config: EncoderConfig, source: str) -> Any:
    from transformers import AutoConfig

    place = {"local_files_only": not config.allow_download}
    try:
        hf_config = AutoConfig.from_pretrained(source, **place)
        backbone_class = _backbone_class(hf_config)
        hf_config.out_features = list(hf_config.stage_names[-N_SCALES:])
        # the class itself loads any local directory; AutoBackbone takes hub-like names only
        with quiet_transformers():
            backbone, report = backbone_class.from_pretrained(
                source, config=hf_config, output_loading_info=True, **place
            )
        statistics = _pixel_statistics(source, place)
    except ConfigError:
        raise
    except Exception as error:  # as above, and those of the hub and of safetensors
        absent = not config.allow_download and not Path(source).is_dir()
        hint = (
            "it is not a local directory; set student.encoder.allow_download=true to fetch it"
            if absent
            else one_line(error)
        )
        raise ConfigError(f"encoder source '{source}': {hint}") from error
    missing = sorted(name for name in report["missing_keys"] if _NEW_IN_BACKBONES not in name)
    if missing:
        raise ConfigError(
            f"encoder source '{source}': {len(missing)} weights of the {hf_config.model_type} backbone are not in it, "
            f"for example {missing[0]}; it is of another model or damaged"
        )
    for key, value in statistics.items():
        setattr(backbone.config, key, value)
    return backbone.float()  # transformers keeps the type that the weights were stored in


def _backbone_class(hf_config: Any) -> Any:
    from transformers import MODEL_FOR_BACKBONE_MAPPING

    if type(hf_config) not in MODEL_FOR_BACKBONE_MAPPING:
        raise ConfigError(f"encoder: {hf_config.model_type!r} is no backbone of transformers. {_advice()}")
    return MODEL_FOR_BACKBONE_MAPPING[type(hf_config)]


def _require_known_keys(default: Any, options: dict[str, Any]) -> None:
    """transformers takes any key and forgets it; a misspelt width would train another network."""
    known = {*vars(default), *default.attribute_map, "out_features", "out_indices", IMAGE_MEAN, IMAGE_STD}
    for key in options:
        if key not in known:
            nearest = get_close_matches(key, known, n=1)
            hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
            raise ConfigError(f"encoder.backbone: {default.model_type!r} has no key {key!r}{hint}")


def _pixel_statistics(source: str, place: dict[str, bool]) -> dict[str, list[float]]:
    """Return image_mean and image_std that the source's own preprocessing uses; nothing where it has none."""
    from transformers.utils import cached_file

    path = cached_file(source, _PREPROCESSING, _raise_exceptions_for_missing_entries=False, **place)
    if path is None:
        return {}
    tree = json.loads(Path(path).read_text(encoding="utf-8"))
    if not tree.get("do_normalize", True):
        return {IMAGE_MEAN: [0.0, 0.0, 0.0], IMAGE_STD: [1.0, 1.0, 1.0]}
    return {key: [float(value) for value in tree[key]] for key in (IMAGE_MEAN, IMAGE_STD) if key in tree}


def _advice() -> str:
    return f"Known to work: {', '.join(FOUR_SCALE_TYPES)}"
