"""Where a student comes from: written beside its weights, so that no number or licence question is unanswerable."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surround_depth.provenance import package_versions, source_commit
from surround_depth.training.config import TrainConfig


def describe_run(
    config: TrainConfig,
    *,
    scenes: dict[str, Sequence[str]],
    dataset_name: str,
    dataset_licence: str,
    teacher: tuple[str, str] | None,
    initialised_from: str | None,
) -> dict[str, Any]:
    """Return the origin of a run: configuration, commit, command, versions, and the lineage of licences.

    Args:
        scenes: {"train": names, "val": names}.
        teacher: (name, licence of its weights), or None.
        initialised_from: the starting weights, or None for random.
    """
    lineage = [{"kind": "data", "name": dataset_name, "licence": dataset_licence}]
    if teacher is not None:
        lineage.append({"kind": "teacher", "name": teacher[0], "licence": teacher[1]})
    lineage.append({"kind": "initialisation", "name": initialised_from or "random", "licence": "as its own lineage"})
    if initialised_from is None:
        lineage[-1]["licence"] = "none"
    return {
        "config": config.model_dump(mode="json"),
        "scenes": {split: list(names) for split, names in scenes.items()},
        "scenes_sha256": hashlib.sha256(repr(sorted((k, tuple(v)) for k, v in scenes.items())).encode()).hexdigest(),
        "lineage": lineage,
        "commit": source_commit(),
        "command": command(),
        "versions": package_versions(("surround_depth", "torch", "numpy")),
    }


def command() -> str:
    """Return the command line that started this process, its script as `folder/name`."""
    script = Path(sys.argv[0])
    return " ".join(["python", f"{script.parent.name}/{script.name}", *map(shlex.quote, sys.argv[1:])])
