"""Which drives a run learns from and which it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surround_depth.data.build import open_dataset
from surround_depth.data.sample import DriveDataset, SampleSequence
from surround_depth.errors import ConfigError
from surround_depth.training.config import DataConfig


@dataclass(frozen=True)
class Drives:
    """The sequences of one run; no scene is in both."""

    dataset: DriveDataset
    train: tuple[SampleSequence, ...]
    val: tuple[SampleSequence, ...]


def open_drives(config: DataConfig) -> Drives:
    """Return the drives that `config` names.

    Raises:
        ConfigError: the tree is missing (the message says how to make it) or the folder of masks is, a scene is
            unknown or in both splits.
    """
    if not _exists(config.root):
        raise ConfigError(f"data.root: '{config.root}' does not exist; {_remedy(config)}")
    if config.masks is not None and not _exists(config.masks):
        raise ConfigError(f"data.masks: '{config.masks}' is no folder; leave the key out where there are no masks")
    masks = None if config.masks is None else Path(config.masks)
    dataset = open_dataset(config.kind, config.root, version=config.version, masks=masks)
    train, val = split_scenes(dataset.scenes(), config)
    return Drives(dataset, tuple(map(dataset.sequence, train)), tuple(map(dataset.sequence, val)))


def _exists(folder: str) -> bool:
    try:
        return Path(folder).expanduser().is_dir()
    except (OSError, RuntimeError):  # a name too long for the disk, no permission; no such user
        return False


def split_scenes(scenes: tuple[str, ...], config: DataConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (training scenes, validation scenes) out of the data set's `scenes`."""
    for key, names in (("train_scenes", config.train_scenes), ("val_scenes", config.val_scenes)):
        unknown = [name for name in names if name not in scenes]
        if unknown:
            raise ConfigError(f"data.{key}: {', '.join(unknown)} not in {config.root}; it has {', '.join(scenes)}")
    val = config.val_scenes or scenes[-1:]
    train = config.train_scenes or tuple(name for name in scenes if name not in val)
    both = sorted(set(train) & set(val))
    if both:
        raise ConfigError(f"data.train_scenes and data.val_scenes share {', '.join(both)}; give each scene one role")
    if not train:
        raise ConfigError(f"data.root: {config.root} has {len(scenes)} scene(s); one must train, another validate")
    return train, val


def _remedy(config: DataConfig) -> str:
    if config.kind != "synthetic":
        return f"point it at the {config.kind} folder with --set data.root=DIR"
    return f"make it first: {synthetic_command(config)}"


def synthetic_command(config: DataConfig) -> str:
    """Return the command that renders the missing synthetic tree."""
    r = config.rendering
    seeds = f"{r.first_seed}:{r.first_seed + r.n_drives}"
    size = f"{r.height_px}x{r.width_px}"
    frames = f"--frames {r.n_samples} --interval-s {r.interval_s:g}"
    return f"python tools/make_synthetic.py --out {config.root} --seeds {seeds} {frames} --size {size}"
