"""Where a student comes from: written beside its weights, so that no number or licence question is unanswerable."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surround_depth.models.checkpoint import WEIGHTS_NAME, read_checkpoint_config
from surround_depth.provenance import command_line, package_versions, source_commit
from surround_depth.training.config import TrainConfig


@dataclass(frozen=True)
class ParentWeights:
    """The checkpoint that a run starts from, with everything its weights were made of."""

    name: str
    weights_sha256: str
    lineage: tuple[dict[str, str], ...]


def read_parent(directory: Path) -> ParentWeights:
    """Return what a checkpoint directory says about its own origin.

    Raises:
        DataError: it is no checkpoint directory.
    """
    lineage = read_checkpoint_config(directory).provenance.get("lineage") or ()
    with (directory / WEIGHTS_NAME).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ParentWeights(directory.resolve().name, digest, tuple(dict(entry) for entry in lineage))


def describe_run(
    config: TrainConfig,
    *,
    scenes: dict[str, Sequence[str]],
    dataset_name: str,
    dataset_licence: str,
    teacher: tuple[str, str] | None,
    parent: ParentWeights | None,
    rendering: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the origin of a run: configuration, commit, command, versions, and the lineage of licences.

    Args:
        scenes: {"train": names, "val": names}.
        teacher: (name, licence of its weights), or None.
        parent: the starting weights, or None for random; their licences go on to hold and are listed.
        rendering: the note in a rendered tree (`rendering_record`), or None: of unknown origin.
    """
    lineage = [{"kind": "data", "name": dataset_name, "licence": dataset_licence}]
    if teacher is not None:
        lineage.append({"kind": "teacher", "name": teacher[0], "licence": teacher[1]})
    lineage += _initialisation(parent)
    return {
        "config": config.model_dump(mode="json"),
        "scenes": {split: list(names) for split, names in scenes.items()},
        "scenes_sha256": hashlib.sha256(repr(sorted((k, tuple(v)) for k, v in scenes.items())).encode()).hexdigest(),
        "lineage": lineage,
        "rendering": rendering or "unknown",
        "commit": source_commit(),
        "command": command_line(),
        "versions": package_versions(("surround_depth", "torch", "numpy")),
    }


def _initialisation(parent: ParentWeights | None) -> list[dict[str, str]]:
    """Return the lineage entries of the starting weights: themselves, then all they inherit."""
    if parent is None:
        return [{"kind": "initialisation", "name": "random", "licence": "none"}]
    itself = {
        "kind": "initialisation",
        "name": parent.name,
        "licence": "as its lineage, listed next",
        "weights_sha256": parent.weights_sha256,
    }
    inherited = [entry | {"kind": f"parent's {entry['kind']}"} for entry in parent.lineage]
    unknown = {"kind": "parent's lineage", "name": parent.name, "licence": "not stated in its provenance"}
    return [itself, *(inherited or [unknown])]
