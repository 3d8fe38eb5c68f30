"""Where a student comes from: written beside its weights, so that no number or licence question is unanswerable."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surround_depth.data.sample import DriveDataset
from surround_depth.data.splits import Split
from surround_depth.files import file_sha256
from surround_depth.models.checkpoint import WEIGHTS_NAME, read_checkpoint_config
from surround_depth.provenance import command_line, package_versions, portable_argument, source_commit
from surround_depth.teachers.ensemble import teacher_lineage
from surround_depth.teachers.teacher import AS_LINEAGE, Teacher
from surround_depth.training.config import TrainConfig
from surround_depth.training.drives import Drives, DriveSet
from surround_depth.training.licences import effective_licence
from surround_depth.training.rendering_record import read_record


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
    digest = file_sha256(directory / WEIGHTS_NAME)
    return ParentWeights(directory.resolve().name, digest, tuple(dict(entry) for entry in lineage))


def run_origin(config: TrainConfig, drives: Drives, teacher: Teacher | None, init: Path | None) -> dict[str, Any]:
    """Return the origin of a run: configuration, data, lineage of licences, commit, command and versions.

    Tables are hashed once, about a second per gigabyte; pictures and clouds are not read.

    Args:
        teacher: the one that labels, or None.
        init: the checkpoint whose weights the student starts from, or None for random ones.

    Raises:
        DataError: `init` is no checkpoint directory, or a table cannot be read.
    """
    data = [describe_set(one) for one in drives.sets]
    lineage = [{"kind": "data", "name": one["name"], "licence": one["licence"]} for one in data]
    if teacher is not None:
        lineage += teacher_lineage(teacher)
    lineage = list({tuple(entry.items()): entry for entry in lineage}.values())  # several sets of one kind: said once
    lineage += _untrained(config) if init is None else _inherited(read_parent(init))
    scenes = {role: list(dict.fromkeys(n for one in data for n in one["scenes"][role])) for role in ("train", "val")}
    return {
        "config": config.model_dump(mode="json"),
        "data": data,
        "data_sha256": _sha256(data),
        "scenes": scenes,
        "scenes_sha256": _sha256([(one["name"], one["scenes"]) for one in data]),
        "teacher_sha256": "" if teacher is None else teacher.fingerprint,
        "lineage": lineage,
        "licence": effective_licence(lineage).as_dict(),
        "commit": source_commit(),
        "command": command_line(),
        "versions": package_versions(("surround_depth", "torch", "numpy")),
    }


def describe_set(one: DriveSet) -> dict[str, Any]:
    """Return what a run saw of one data set; a hash is "" where there is nothing to hash.

    Scenes, lists and numbers of samples are by role, {"train": ..., "val": ...}.
    """
    roles = {"train": (one.train_data, one.train), "val": (one.val_data, one.val)}
    facts = {key: str(getattr(one.train_data, key, "")) for key in ("version", "tables_sha256", "masks_sha256")}
    return {
        "key": one.key,
        "name": one.train_data.name,
        "licence": one.train_data.licence,
        **facts,
        "rendering": read_record(Path(one.config.root)),
        "lists": {role: _list_of(data) for role, (data, _) in roles.items()},
        "scenes": {role: [drive.name for drive in drives] for role, (_, drives) in roles.items()},
        "n_samples": {role: sum(map(len, drives)) for role, (_, drives) in roles.items()},
        "repeat": one.config.repeat,
    }


def _list_of(data: DriveDataset) -> dict[str, str] | None:
    """Return name and hash of the list that narrows a data set; None without one, and for a split of its own."""
    split: Split | None = getattr(data, "split", None)
    return None if split is None else {"name": split.name, "sha256": split.sha256}


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _untrained(config: TrainConfig) -> list[dict[str, str]]:
    """Return the lineage entry of weights that start at random, but for an encoder that may be pretrained."""
    encoder = config.student.encoder
    if encoder is None or encoder.source is None:
        return [{"kind": "initialisation", "name": "random", "licence": "none"}]
    source = portable_argument(encoder.source)
    return [{"kind": "pretrained encoder", "name": source, "licence": f"not known here; the card of {source} says it"}]


def _inherited(parent: ParentWeights) -> list[dict[str, str]]:
    """Return the lineage entries of starting weights: themselves, then all they inherit."""
    itself = {
        "kind": "initialisation",
        "name": parent.name,
        "licence": AS_LINEAGE,
        "weights_sha256": parent.weights_sha256,
    }
    inherited = [entry | {"kind": f"parent's {entry['kind']}"} for entry in parent.lineage]
    unknown = {"kind": "parent's lineage", "name": parent.name, "licence": "not stated in its provenance"}
    return [itself, *(inherited or [unknown])]
