"""The one place that knows which data sets there are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from surround_depth.data.ddad import DdadDataset
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.sample import DriveDataset, Sample, SampleSequence
from surround_depth.data.synthetic_tree import SyntheticDataset
from surround_depth.errors import ConfigError, DataError

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


def open_sequence(dataset: DriveDataset, scene: str | None = None) -> SampleSequence:
    """Return the samples of `scene`, by default of the first.

    Raises:
        DataError: there is no such scene, or none at all.
    """
    if scene is None:
        scene = next(iter(dataset.scenes()), None)
    if scene is None:
        raise DataError(f"this {dataset.name} data set has no scene; is it complete?")
    return dataset.sequence(scene)


def sample_at(sequence: SampleSequence, index: int) -> Sample:
    """Return one sample of a scene.

    Raises:
        DataError: `index` is not in the scene, or the sample is damaged.
    """
    if not 0 <= index < len(sequence):
        raise DataError(f"scene {sequence.name} has frames 0 to {len(sequence) - 1}, not {index}")
    return sequence[index]
