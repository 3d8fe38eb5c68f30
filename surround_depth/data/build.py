"""The one place that knows which data sets there are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from surround_depth.data.damage import OnDamage
from surround_depth.data.ddad import DdadDataset
from surround_depth.data.dgp_scene import SPLITS
from surround_depth.data.listed_drives import ListedDrives
from surround_depth.data.mask_folder import MaskFolder
from surround_depth.data.nuscenes import NuScenesDataset, Rate
from surround_depth.data.sample import DriveDataset, Sample, SampleSequence
from surround_depth.data.splits import read_split
from surround_depth.data.synthetic_tree import SyntheticDataset
from surround_depth.errors import ConfigError, DataError

DatasetKind = Literal["nuscenes", "ddad", "synthetic"]
DATASET_KINDS: tuple[str, ...] = get_args(DatasetKind)


def open_dataset(
    kind: DatasetKind,
    root: str | Path,
    *,
    version: str | None = None,
    split: str | Path | None = None,
    rate: Rate = "keyframes",
    masks: Path | None = None,
    on_damage: OnDamage = "raise",
) -> DriveDataset:
    """Return the drives of a data set: nuScenes, DDAD, or a tree of `tools/make_synthetic.py`.

    Args:
        version: nuScenes and synthetic: folder of the tables; not needed where there is only one.
        split: name or file of a list (see `splits.read_split`), which the data set carries with its hash as `split`;
            of DDAD also "train", "val", "test", "train_overfit": the scene list's own.
        rate: nuScenes and synthetic: "keyframes" or "sweeps"; DDAD has one rate.
        masks: folder of own-body masks with one for every camera, whose hash the data set carries as `masks_sha256`;
            they stand in for those that a synthetic tree brings.
        on_damage: what is broken in tables, scene files and lists is refused, or left out and listed in `damage`.

    Raises:
        ConfigError: no data set of that kind, or an option it does not have.
        DataError: `root` does not hold one, a table is damaged, or the split does not fit.
    """
    match kind:
        case "nuscenes":
            listed = None if split is None else read_split(split)
            own_body = None if masks is None else MaskFolder.asked_for(masks)
            return NuScenesDataset(root, version, masks=own_body, rate=rate, split=listed, on_damage=on_damage)
        case "ddad":
            if version is not None or rate != "keyframes":
                raise ConfigError("ddad has neither version nor sweeps between its samples (rate); leave them out")
            if split is None or str(split) in SPLITS.values():
                own = None if split is None else str(split)
                return DdadDataset(root, own, mask_dir=masks, on_damage=on_damage)
            whole = DdadDataset(root, mask_dir=masks, on_damage=on_damage)
            return ListedDrives(whole, read_split(split), on_damage)
        case "synthetic":
            listed = None if split is None else read_split(split)
            own_body = None if masks is None else MaskFolder.asked_for(masks)
            return SyntheticDataset(root, version, masks=own_body, rate=rate, split=listed, on_damage=on_damage)
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
