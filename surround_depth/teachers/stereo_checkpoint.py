"""A stereo network on disk: model.safetensors, config.json (what rebuilds it, and its origin), README.md (its card)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors.torch import load_file, save

from surround_depth.config import StrictModel, parse_stored, read_json
from surround_depth.errors import DataError
from surround_depth.files import atomic_directory
from surround_depth.imaging import InputSpec
from surround_depth.teachers.stereo_net import StereoNet, StereoNetConfig

WEIGHTS_NAME = "model.safetensors"
_CONFIG_NAME = "config.json"
_CARD_NAME = "README.md"
_FORMAT_VERSION = 1


class StereoCheckpointConfig(StrictModel):
    """The content of config.json. `net` stands where a student's has `student`: neither is taken for the other."""

    format_version: int = _FORMAT_VERSION
    net: StereoNetConfig
    input: InputSpec
    """The size it was trained at; it answers at any."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Data, steps, seed, commit, command, errors and licences."""


def save_stereo(directory: Path, net: StereoNet, config: StereoCheckpointConfig, card: str) -> None:
    """Write (or replace) the checkpoint `directory` in one step: a reader sees the old one or the new one, whole."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    with atomic_directory(directory) as folder:
        (folder / WEIGHTS_NAME).write_bytes(save(tensors))
        (folder / _CONFIG_NAME).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / _CARD_NAME).write_text(card, encoding="utf-8")


def load_stereo(directory: Path) -> StereoNet:
    """Return the network of a checkpoint directory, in eval mode on the CPU, its weights frozen.

    Raises:
        DataError: a file is missing or damaged, or the weights do not fit the configuration.
    """
    net = StereoNet(read_stereo_config(directory).net)
    path = directory / WEIGHTS_NAME
    try:
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise DataError(f"{directory}: no {WEIGHTS_NAME}; is this a checkpoint of tools/train_stereo.py?") from error
    except Exception as error:  # safetensors raises its own type for a damaged header
        raise DataError(f"{path}: damaged or truncated ({error}); copy it again") from error
    expected = {name: tensor.shape for name, tensor in net.state_dict().items()}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if wrong := sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)):
        raise DataError(
            f"{path}: the weights do not fit {_CONFIG_NAME} beside them (first {wrong[:3]}); copy both again"
        )
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)


def read_stereo_config(directory: Path) -> StereoCheckpointConfig:
    """Return config.json of a checkpoint directory, validated.

    Raises:
        DataError: there is none, it is not JSON, or not of this format.
    """
    path = directory / _CONFIG_NAME
    tree = read_json(path, f"{directory}: no {_CONFIG_NAME}; is this a checkpoint of tools/train_stereo.py?")
    version = tree.get("format_version") if isinstance(tree, dict) else None
    if version != _FORMAT_VERSION or "net" not in tree:
        raise DataError(
            f"{path}: is of no stereo network of format {_FORMAT_VERSION}; train one: tools/train_stereo.py"
        )
    return parse_stored(StereoCheckpointConfig, tree, path)
