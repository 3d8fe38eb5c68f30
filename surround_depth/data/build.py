"""The one place that knows which data sets there are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from surround_depth.data.ddad import DdadDataset
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.sample import DriveDataset
from surround_depth.data.synthetic_tree import SyntheticDataset
from surround_depth.errors import ConfigError

DatasetKind = Literal["nuscenes", "ddad", "synthetic"]
DATASET_KINDS: tuple[str, ...] = get_args(DatasetKind)


def open_dataset(kind: DatasetKind, root: str | Path) -> DriveDataset:
    """Return the drives of a data set: nuScenes, DDAD, or a tree of `tools/make_synthetic.py`.

    For a version, split or mask folder build the class itself.

    Raises:
        ConfigError: no data set of that kind.
        DataError: `root` does not hold one, or a table is damaged.
    """
    match kind:
        case "nuscenes":
            return NuScenesDataset(root)
        case "ddad":
            return DdadDataset(root)
        case "synthetic":
            return SyntheticDataset(root)
    raise ConfigError(f"data set {kind!r} is not one of {', '.join(DATASET_KINDS)}")
