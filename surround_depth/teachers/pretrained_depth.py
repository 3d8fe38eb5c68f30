"""A depth model of transformers on disk: its files, what they say, and its weights when they are first needed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surround_depth.errors import ConfigError
from surround_depth.pretrained import one_line, quiet_transformers
from surround_depth.provenance import portable_argument

_CONFIG = "config.json"
_PREPROCESSING = "preprocessor_config.json"
_WEIGHTS = "model.safetensors"  # never a pickle: reading one runs whatever code is in it
_WEIGHTS_INDEX = "model.safetensors.index.json"
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class DepthModelFiles:
    """Where a depth model lies on this machine, and what its two configurations say."""

    name: str
    """Hub id, or the directory as another machine may read it: no absolute path."""
    directory: Path
    weights: tuple[Path, ...]
    hf_config: Any
    preprocessing: Mapping[str, Any]

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        """Mean of RGB, in 0 to 1, that the weights were trained with."""
        return self._statistics("image_mean", _IMAGENET_MEAN, unnormalised=0.0)

    @property
    def pixel_std(self) -> tuple[float, ...]:
        """Standard deviation of RGB, in 0 to 1, that the weights were trained with."""
        return self._statistics("image_std", _IMAGENET_STD, unnormalised=1.0)

    @property
    def size_multiple_px(self) -> int:
        """What both sides of a picture must be a multiple of: the patch, and what its own preprocessing asks for."""
        backbone = getattr(self.hf_config, "backbone_config", None)
        patch = _side(backbone, "patch_size") or _side(self.hf_config, "patch_size")  # the backbone's is the one used
        asked = self.preprocessing.get("ensure_multiple_of") or self.preprocessing.get("size_divisor") or 1
        return math.lcm(patch or 1, int(asked))

    def sha256(self) -> str:
        """Return the digest of weights and both configurations: about a second per gigabyte."""
        digest = hashlib.sha256()
        for path in (self.directory / _CONFIG, self.directory / _PREPROCESSING, *self.weights):
            if path.exists():
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            digest.update(b"/")
        return digest.hexdigest()

    def load(self) -> Any:
        """Return the model, frozen, in eval mode and float32, on the CPU.

        Raises:
            ConfigError: the weights cannot be read, or some of the model's are not among them.
        """
        from transformers import AutoModelForDepthEstimation

        try:
            with quiet_transformers():
                model, report = AutoModelForDepthEstimation.from_pretrained(
                    self.directory,
                    config=self.hf_config,
                    use_safetensors=True,
                    local_files_only=True,
                    output_loading_info=True,
                )
        except Exception as error:  # transformers and safetensors raise whatever they happen to raise
            raise ConfigError(f"teacher '{self.name}': its weights cannot be loaded: {one_line(error)}") from error
        missing = sorted(report["missing_keys"])
        if missing:
            raise ConfigError(
                f"teacher '{self.name}': {len(missing)} weights of a {self.hf_config.model_type} model are not in it, "
                f"for example {missing[0]}; it is of another model or damaged"
            )
        return model.float().eval().requires_grad_(False)  # transformers keeps the type that weights were stored in

    def _statistics(self, key: str, default: tuple[float, ...], *, unnormalised: float) -> tuple[float, ...]:
        if not self.preprocessing.get("do_normalize", True):
            return (unnormalised,) * 3
        return tuple(float(value) for value in self.preprocessing.get(key) or default)


def find_depth_model(source: str, *, allow_download: bool) -> DepthModelFiles:
    """Return the files of the depth model `source`, a local directory or a hub id; its weights are not read yet.

    Args:
        allow_download: fetch what is missing from the hub; else only directories and what was fetched before.

    Raises:
        ConfigError: there is none, it is no depth model of the installed transformers, or has no safetensors.
    """
    import transformers
    from transformers import MODEL_FOR_DEPTH_ESTIMATION_MAPPING, AutoConfig
    from transformers.utils import cached_file

    place = {"local_files_only": not allow_download}
    name = portable_argument(source)

    def find(file: str) -> Path | None:
        found = cached_file(source, file, _raise_exceptions_for_missing_entries=False, **place)
        return None if found is None else Path(found)

    try:
        hf_config = AutoConfig.from_pretrained(source, **place)
        config_path, preprocessing_path = find(_CONFIG), find(_PREPROCESSING)
        weights = _weight_files(find)
        preprocessing = {} if preprocessing_path is None else json.loads(preprocessing_path.read_text("utf-8"))
    except Exception as error:  # of transformers, the hub and JSON
        absent = not allow_download and not Path(source).is_dir()
        hint = (
            "it is no local directory and was not fetched before; set teacher.depth_anything.allow_download=true"
            if absent
            else one_line(error)
        )
        raise ConfigError(f"teacher '{name}': {hint}") from error
    if type(hf_config) not in MODEL_FOR_DEPTH_ESTIMATION_MAPPING:
        known = sorted(one.model_type for one in MODEL_FOR_DEPTH_ESTIMATION_MAPPING)
        raise ConfigError(
            f"teacher '{name}': {hf_config.model_type!r} is no depth model of transformers {transformers.__version__}; "
            f"it has {', '.join(known)}"
        )
    if config_path is None or not weights:
        raise ConfigError(f"teacher '{name}': it has no {_WEIGHTS} or {_WEIGHTS_INDEX}; pickled weights are not read")
    return DepthModelFiles(name, config_path.parent, weights, hf_config, preprocessing)


def _weight_files(find: Any) -> tuple[Path, ...]:
    whole = find(_WEIGHTS)
    if whole is not None:
        return (whole,)
    index = find(_WEIGHTS_INDEX)
    if index is None:
        return ()
    shards = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    paths = {shard: find(shard) for shard in shards}
    lacking = [shard for shard, path in paths.items() if path is None]
    if lacking:
        raise FileNotFoundError(f"{_WEIGHTS_INDEX} names {lacking[0]}, which is not there")
    return tuple(path for path in paths.values() if path is not None)


def _side(config: Any, key: str) -> int | None:
    value = getattr(config, key, None)
    return math.lcm(*value) if isinstance(value, list | tuple) else value
