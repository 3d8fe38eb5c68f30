"""Which drives a run learns from and which it is judged on, of one data set or of several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from surround_depth.data.build import open_dataset
from surround_depth.data.sample import DriveDataset, SampleSequence
from surround_depth.errors import ConfigError
from surround_depth.training.config import DataConfig, DataSetConfig
from surround_depth.training.first_samples import first_samples


@dataclass(frozen=True)
class DriveSet:
    """The drives of one data set; no scene is in both roles."""

    key: str
    """Its place in the configuration, e.g. "data.joint.0"."""
    config: DataSetConfig
    train_data: DriveDataset
    val_data: DriveDataset
    """Differs from `train_data` where a list narrows what may validate."""
    train: tuple[SampleSequence, ...]
    val: tuple[SampleSequence, ...]


@dataclass(frozen=True)
class Drives:
    """The drives of one run."""

    sets: tuple[DriveSet, ...]

    @property
    def train(self) -> tuple[SampleSequence, ...]:
        """Every training drive, as often as its set's `repeat` says: the same object, which a store keeps once."""
        return tuple(sequence for one in self.sets for _ in range(one.config.repeat) for sequence in one.train)

    @property
    def val(self) -> tuple[SampleSequence, ...]:
        """Every validation drive."""
        return tuple(sequence for one in self.sets for sequence in one.val)


def describe_set(one: DriveSet) -> str:
    """Return how much of a set trains and what validates, for people."""
    names = ", ".join(sequence.name for sequence in one.val) if len(one.val) <= 3 else f"{len(one.val)} drives"
    n_train, n_val = (sum(map(len, drives)) for drives in (one.train, one.val))
    times = f" ({one.config.repeat} times a pass)" if one.config.repeat > 1 else ""
    return f"{one.key}: {n_train} samples of {len(one.train)} drives train{times}, {n_val} of {names} validate"


def open_drives(config: DataConfig) -> Drives:
    """Return the drives that `config` names.

    Raises:
        ConfigError: the tree of a set is missing (the message says how to make it) or its folder of masks is, a scene
            is unknown or in both roles.
        DataError: a list cannot be read, or names what the data set has not.
    """
    drives = Drives(tuple(_open_set(key, one, config) for key, one in config.sets().items()))
    for one, other in combinations(drives.sets, 2):
        _refuse_shared_street(one, other)
        _refuse_shared_street(other, one)
    return drives


def _open_set(key: str, config: DataSetConfig, run: DataConfig) -> DriveSet:
    if not _exists(config.root):
        raise ConfigError(f"{key}.root: '{config.root}' does not exist; {_remedy(key, config)}")
    if config.masks is not None and not _exists(config.masks):
        raise ConfigError(f"{key}.masks: '{config.masks}' is no folder; leave the key out where there are no masks")
    train_data = _open(config, config.train_split)
    val_data = train_data if config.val_split == config.train_split else _open(config, config.val_split)
    train, val = split_scenes(train_data.scenes(), val_data.scenes(), config, key)
    train_drives = first_samples(map(train_data.sequence, evenly(train, run.max_train_drives)), run.limit_samples)
    if run.validate_on == "train":
        return DriveSet(key, config, train_data, train_data, train_drives, train_drives)
    val_drives = first_samples(map(val_data.sequence, val), run.limit_samples)
    return DriveSet(key, config, train_data, val_data, train_drives, val_drives)


def _open(config: DataSetConfig, split: str | None) -> DriveDataset:
    masks = None if config.masks is None else Path(config.masks)
    return open_dataset(config.kind, config.root, version=config.version, split=split, rate=config.rate, masks=masks)


def _exists(folder: str) -> bool:
    try:
        return Path(folder).expanduser().is_dir()
    except (OSError, RuntimeError):  # a name too long for the disk, no permission; no such user
        return False


def evenly(scenes: tuple[str, ...], n: int | None) -> tuple[str, ...]:
    """Return `n` of the scenes, spread evenly over their list; all of them where there are no more, or n is None."""
    if n is None or n >= len(scenes):
        return scenes
    return tuple(scenes[int((i + 0.5) * len(scenes) / n)] for i in range(n))


def split_scenes(
    may_train: tuple[str, ...], may_validate: tuple[str, ...], config: DataSetConfig, key: str = "data"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (training scenes, validation scenes) out of the scenes that may have each role.

    Args:
        key: what errors call the data set, e.g. "data.joint.0".

    Raises:
        ConfigError: a scene is unknown or in both roles, or none is left to train or to validate.
    """
    for name, asked, known in (
        ("train_scenes", config.train_scenes, may_train),
        ("val_scenes", config.val_scenes, may_validate),
    ):
        if unknown := [scene for scene in asked if scene not in known]:
            raise ConfigError(f"{key}.{name}: {_some(unknown)} not in {config.root}; it has {_some(known)}")
    val = config.val_scenes or (may_validate if config.val_split is not None else may_validate[-1:])
    train = config.train_scenes or tuple(scene for scene in may_train if scene not in val)
    if both := sorted(set(train) & set(val)):
        raise ConfigError(f"{key}.train_scenes and {key}.val_scenes share {_some(both)}; give each scene one role")
    if not train or not val:
        raise ConfigError(f"{key}.root: {config.root} has {len(may_train)} scene(s); one must train, another validate")
    return train, val


def _refuse_shared_street(trains: DriveSet, judges: DriveSet) -> None:
    """Raise `ConfigError` where one set trains on a scene that another validates on.

    Scenes of one kind are told apart by name: a seed renders the same street whatever rig drives through it.
    """
    shared = {drive.name for drive in trains.train} & {drive.name for drive in judges.val}
    if trains.config.kind == judges.config.kind and shared:
        raise ConfigError(
            f"{trains.key} trains on {_some(sorted(shared))}, which {judges.key} validates on; a {trains.config.kind} "
            "scene is one street in every tree: give it one role"
        )


def _some(names: Iterable[str], limit: int = 12) -> str:
    names = tuple(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more if names else "none"


def _remedy(key: str, config: DataSetConfig) -> str:
    if config.kind != "synthetic":
        return f"point it at the {config.kind} folder with --set {key}.root=DIR"
    return f"make it first: {synthetic_command(config)}"


def synthetic_command(config: DataSetConfig) -> str:
    """Return the command that renders the missing synthetic tree."""
    r = config.rendering
    rig = "" if r.rig == "nuscenes" else f" --rig {r.rig}"
    seeds = f"{r.first_seed}:{r.first_seed + r.n_drives}"
    size = f"{r.height_px}x{r.width_px}"
    frames = f"--frames {r.n_samples} --interval-s {r.interval_s:g}"
    return f"python tools/make_synthetic.py --out {config.root}{rig} --seeds {seeds} {frames} --size {size}"
