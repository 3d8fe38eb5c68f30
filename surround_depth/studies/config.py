"""What a study trains, on what it scores, and which rows are held against which."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from surround_depth.config import StrictModel, load_config, parse_config
from surround_depth.errors import ConfigError
from surround_depth.training.config import RenderConfig, TrainConfig

Condition = Literal["clean", "dead", "corrupted"]
REFERENCE = "default"
"""The row without a change, which every other row is held against unless it says otherwise."""
_OF_THE_STUDY = ("name", "seed", "data.root", "data.render", "data.rendering")


class EvaluationSet(StrictModel):
    """One set that every student is scored on."""

    set: str
    conditions: tuple[Condition, ...] = ("clean",)
    """`clean`: as rendered, all measures. `dead`: one camera without an image, in turn; errors of the healthy ones.
    `corrupted`: pictures spoilt in ways that no training has seen; depth errors."""


class Row(StrictModel):
    """One change of the base configuration."""

    what: str
    """One sentence for the table."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Dotted key of the training configuration -> value."""
    against: tuple[str, ...] | str = REFERENCE
    """The row or rows that it is compared with."""

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the rows it is compared with."""
        return (self.against,) if isinstance(self.against, str) else self.against


class StudyConfig(StrictModel):
    """A whole study."""

    name: str
    sets: dict[str, RenderConfig]
    """Name -> drives that are rendered once, below OUT/data."""
    train_set: str
    """Name of the set that trains (and, by `base.data.val_scenes`, draws the validation curve)."""
    base: dict[str, Any]
    """A training configuration without `name`, `seed` and where the data lies: these are the study's."""
    rows: dict[str, Row]
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    n_workers: int = Field(default=2, ge=1)
    """Processes; each trains and scores one student at a time, on one thread."""
    evaluation: tuple[EvaluationSet, ...] = Field(min_length=1)

    def train_config(self, row: str, seed: int, data_root: Path) -> TrainConfig:
        """Return the training configuration of one run.

        Raises:
            ConfigError: there is no such row, or the base or an override does not fit the training configuration.
        """
        if row not in self.rows:
            raise ConfigError(f"study {self.name} has no row {row!r}; it has {', '.join(self.rows)}")
        tree = copy.deepcopy(self.base)
        origin = f"study {self.name}, row {row}"
        for key, value in self.rows[row].overrides.items():
            _put(tree, key, value, origin)
        for key in _OF_THE_STUDY:
            if _has(tree, key):
                raise ConfigError(f"{origin}: {key} is set by the study itself; leave it out")
        _put(tree, "name", f"{self.name}-{row}-{seed}", origin)
        _put(tree, "seed", seed, origin)
        _put(tree, "data.root", str(data_root), origin)
        _put(tree, "data.render", True, origin)
        _put(tree, "data.rendering", self.sets[self.train_set].model_dump(), origin)
        return parse_config(TrainConfig, tree, origin)


def load_study(source: str | Path, overrides: Iterable[str] = ()) -> StudyConfig:
    """Return a study (a YAML file or the name of a shipped one) whose every row makes a valid training configuration.

    Args:
        overrides: "a.b=value" each, as `base.optim.steps=600`.

    Raises:
        ConfigError: names the key, row or set that does not fit.
    """
    study = load_config(StudyConfig, source, overrides)
    asked = [study.train_set, *(entry.set for entry in study.evaluation)]
    if unknown := [name for name in asked if name not in study.sets]:
        raise ConfigError(f"study {study.name}: no set {', '.join(unknown)}; it has {', '.join(study.sets)}")
    if len(set(asked)) < len(asked):
        raise ConfigError(
            f"study {study.name}: a set is used twice ({', '.join(asked)}); nothing is scored where it trains"
        )
    _require_other_drives(study)
    for name, row in study.rows.items():
        if unknown := [other for other in row.others if other not in study.rows]:
            raise ConfigError(f"study {study.name}, row {name}: against {', '.join(unknown)}, which is no row")
        study.train_config(name, study.seeds[0], Path("data"))
    return study


def _require_other_drives(study: StudyConfig) -> None:
    """A seed is a street: none that trains may be scored, whatever the rig."""
    training = study.sets[study.train_set]
    seen = set(range(training.first_seed, training.first_seed + training.n_drives))
    for entry in study.evaluation:
        scored = study.sets[entry.set]
        if shared := seen & set(range(scored.first_seed, scored.first_seed + scored.n_drives)):
            raise ConfigError(
                f"study {study.name}: set {entry.set} shares street {min(shared)} with {study.train_set}; "
                "nothing is scored on what trains: give it other seeds (first_seed)"
            )


def _put(tree: dict[str, Any], key: str, value: Any, origin: str) -> None:
    *parents, leaf = key.split(".")
    node = tree
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{origin}: {key}: {parent!r} is a value, not a group of keys")
    node[leaf] = value


def _has(tree: Mapping[str, Any], key: str) -> bool:
    node: Any = tree
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True
