"""A student on disk: model.safetensors, config.json (what rebuilds it, and its origin), README.md (its card)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors.torch import load_file, save

from surround_depth.config import StrictModel, parse_stored, read_json
from surround_depth.errors import DataError
from surround_depth.files import atomic_directory
from surround_depth.imaging import InputSpec
from surround_depth.models.config import StudentConfig
from surround_depth.models.student import Student

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
CARD_NAME = "README.md"
FORMAT_VERSION = 3
"""2: upsampling mixed nine cells. 1: the ground was a logit among the bins', the same ones for any focal."""


class CheckpointConfig(StrictModel):
    """The content of config.json."""

    format_version: int = FORMAT_VERSION
    student: StudentConfig
    input: InputSpec
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Data, teacher, steps, seed, commit, command, metrics and licences: free-form, for people and manifests."""


@dataclass(frozen=True)
class Checkpoint:
    """A student as loaded, in eval mode, with the input it was trained for."""

    student: Student
    config: CheckpointConfig


def save_student(directory: Path, student: Student, config: CheckpointConfig, card: str = "") -> None:
    """Write (or replace) the checkpoint `directory` in one step: a reader sees the old one or the new one, whole."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in student.state_dict().items()}
    with atomic_directory(directory) as folder:
        (folder / WEIGHTS_NAME).write_bytes(save(tensors))
        (folder / CONFIG_NAME).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / CARD_NAME).write_text(card or "A surround_depth student.\n", encoding="utf-8")


def load_student(directory: Path) -> Checkpoint:
    """Return the student of a checkpoint directory, in eval mode on the CPU.

    Raises:
        DataError: a file is missing or damaged, or the weights do not fit the configuration.
    """
    config = read_checkpoint_config(directory)
    student = Student(config.student)
    try:
        tensors = load_file(directory / WEIGHTS_NAME)
    except FileNotFoundError as error:
        raise DataError(f"{directory}: no {WEIGHTS_NAME}; is this a checkpoint directory?") from error
    except Exception as error:  # safetensors raises its own type for a damaged header
        raise DataError(f"{directory / WEIGHTS_NAME}: damaged or truncated ({error}); copy it again") from error
    load_weights(student, tensors, str(directory))
    return Checkpoint(student.eval(), config)


def load_weights(student: Student, tensors: dict[str, Any], origin: str) -> None:
    """Copy `tensors` into the student; every name and shape must fit.

    Raises:
        DataError: names the first tensors that do not.
    """
    expected = student.state_dict()
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    reshaped = [n for n in expected.keys() & tensors.keys() if expected[n].shape != tensors[n].shape]
    if missing or unknown or reshaped:
        raise DataError(
            f"{origin}: the weights do not fit the student: missing {missing[:3]}, unknown {unknown[:3]}, "
            f"other shape {sorted(reshaped)[:3]}"
        )
    student.load_state_dict(tensors)


def read_checkpoint_config(directory: Path) -> CheckpointConfig:
    """Return config.json of a checkpoint directory, validated.

    Raises:
        DataError: there is none, it is not JSON, or not of this format.
    """
    path = directory / CONFIG_NAME
    tree = read_json(path, f"{directory}: no {CONFIG_NAME}; is this a checkpoint directory?")
    version = tree.get("format_version") if isinstance(tree, dict) else None
    if version != FORMAT_VERSION:
        way_on = "train it anew, or use the release that wrote it"
        raise DataError(f"{path}: format_version {version}; this release reads {FORMAT_VERSION}; {way_on}")
    return parse_stored(CheckpointConfig, tree, path)
