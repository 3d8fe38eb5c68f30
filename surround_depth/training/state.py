"""States of a run on disk: one folder each, whole or not there; checksums prove that it is as it was written.

    OUT/state/step-00001234/
        student.safetensors  average.safetensors  optimizer.safetensors  rng.safetensors
        state.json           the facts, and the sha256 of every other file

No pickles: a state runs no code when it is read.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from surround_depth.errors import DataError
from surround_depth.files import atomic_directory, without_nan

FORMAT_VERSION = 2  # 1: students whose upsampling mixed nine cells and whose pixels had other statistics
_FACTS_NAME = "state.json"
_NAME = re.compile(r"step-(\d{8,})")
TensorFiles = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class StoredState:
    """A state as read: tensors by file and name, on the CPU, and plain facts."""

    step: int
    tensors: TensorFiles
    facts: dict[str, Any]


def save_state(folder: Path, step: int, tensors: TensorFiles, facts: Mapping[str, Any], *, keep: int) -> None:
    """Write the state of `step` into `folder` and delete all but the `keep` newest.

    States of later steps go too: a run that has gone on from an earlier one has passed them over as damaged.

    Raises:
        DataError, OSError: the disk is full or cannot be written; the states that were there still are.
    """
    with atomic_directory(folder / f"step-{step:08d}") as fresh:
        checksums = {}
        for name, content in tensors.items():
            data = save({key: tensor.detach().cpu().contiguous() for key, tensor in content.items()})
            (fresh / f"{name}.safetensors").write_bytes(data)
            checksums[name] = hashlib.sha256(data).hexdigest()
        tree = {"format_version": FORMAT_VERSION, "step": step, "sha256": checksums, "facts": without_nan(facts)}
        (fresh / _FACTS_NAME).write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    _thin_out(folder, step, keep)


def stored_steps(folder: Path) -> list[int]:
    """Return the steps whose states lie in `folder`, whole or not, oldest first."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def newest_state(folder: Path, notice: Callable[[str], None]) -> StoredState:
    """Return the newest state that is whole; `notice` is told of every newer one that is not.

    Raises:
        DataError: there is none.
    """
    for step in reversed(stored_steps(folder)):
        try:
            return read_state(folder, step)
        except DataError as error:
            notice(f"{error}: trying the state before it")
    raise DataError(f"{folder} holds no whole state; start the run again without --resume, in another --out")


def read_state(folder: Path, step: int) -> StoredState:
    """Return the state of `step`.

    Raises:
        DataError: a file is missing or not as it was written, or of another format.
    """
    path = folder / f"step-{step:08d}"
    try:
        tree = json.loads((path / _FACTS_NAME).read_text(encoding="utf-8"))
        version, checksums, facts = tree["format_version"], tree["sha256"], tree["facts"]
        files = {name: (path / f"{name}.safetensors").read_bytes() for name in checksums}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error})") from error
    if version != FORMAT_VERSION:
        raise DataError(f"{path} is of format {version}; this release reads {FORMAT_VERSION}")
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != checksums[name]:
            raise DataError(f"{path} is damaged ({name}.safetensors is not as it was written)")
    return StoredState(step, {name: load(data) for name, data in files.items()}, facts)


def _thin_out(folder: Path, step: int, keep: int) -> None:
    steps = stored_steps(folder)
    kept = [earlier for earlier in steps if earlier <= step][-keep:]
    for other in set(steps) - set(kept):
        shutil.rmtree(folder / f"step-{other:08d}", ignore_errors=True)
