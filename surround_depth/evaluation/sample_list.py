"""Which samples are scored, from which drives, and one hash that says so in every result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surround_depth.data.build import DatasetKind
from surround_depth.data.ddad import DdadDataset
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.sample import DriveDataset
from surround_depth.data.synthetic_tree import SyntheticDataset
from surround_depth.errors import ConfigError
from surround_depth.evaluation.moment import ListedSample


def open_scored_dataset(
    kind: DatasetKind, root: Path, *, version: str | None = None, masks: Path | None = None
) -> DriveDataset:
    """Return the drives of a data set, of one version and with a set of own-body masks where they are given.

    Args:
        version: nuScenes and synthetic: folder of the tables; DDAD: split of the scene list, e.g. "val".
        masks: folder of own-body masks; a synthetic tree brings its own.

    Raises:
        ConfigError: masks for a synthetic tree.
        DataError: `root` does not hold such a data set.
    """
    match kind:
        case "nuscenes":
            return NuScenesDataset(root, version, own_body_dir=masks)
        case "ddad":
            return DdadDataset(root, version, mask_dir=masks)
        case "synthetic":
            if masks is not None:
                raise ConfigError("a synthetic tree brings its own masks; leave --masks out")
            return SyntheticDataset(root, version)


def describe_samples(samples: Sequence[ListedSample], stride: int) -> dict[str, Any]:
    """Return the facts of a sample list that a result carries."""
    drives = list(dict.fromkeys(sample.sequence.name for sample in samples))
    return {
        "n": len(samples),
        "n_sequences": len(drives),
        "sha256": sample_list_sha256(samples),
        "stride": stride,
        "scenes": " ".join(drives),
    }


def sample_list_sha256(samples: Sequence[ListedSample]) -> str:
    """Return the hash of the list: a line "drive position" for every sample, in order, duplicates kept."""
    lines = (f"{sample.sequence.name} {sample.position}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
