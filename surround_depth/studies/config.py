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
DATA_FOLDER, RUNS_FOLDER, STUDENT_FOLDER = "data", "runs", "student"
"""In the folder of a study: the rendered sets, the runs; in that of a run its checkpoint."""
_OF_THE_STUDY = ("name", "seed", "data.root", "data.render", "data.rendering")
_OF_ITS_TEACHER = ("teacher.student.directory", "teacher.assistant.primary.student.directory")


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
    against: tuple[str, ...] | str | None = None
    """The row or rows that it is compared with; the study's reference where none is given."""
    train_set: str | None = None
    """Instead of the study's."""


class Screening(StrictModel):
    """Try every row with few seeds, and take the best of them, beside some that always go on, to all seeds.

    Best is the row with the least validation error: the drives that choose are neither trained on nor scored.
    """

    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    keep: int = Field(ge=1)
    """How many rows go on beside `always`."""
    always: tuple[str, ...] = ()


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
    reference: str = "default"
    """The row that every other is held against unless it says otherwise."""
    teacher: str | None = None
    """The row whose student, of the first seed, teaches the rows with `teacher.kind: student`, and is the primary of
    those with an assistant; it is trained first."""
    screening: Screening | None = None
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    n_workers: int = Field(default=2, ge=1)
    """Processes; each trains and scores one student at a time, on one thread."""
    evaluation: tuple[EvaluationSet, ...] = Field(min_length=1)

    def others(self, row: str) -> tuple[str, ...]:
        """Return the rows that `row` is compared with; the reference is compared with none."""
        against = self.rows[row].against
        named = (self.reference if against is None else against,) if isinstance(against, str | None) else against
        return tuple(other for other in named if other != row)

    def set_of(self, row: str) -> str:
        """Return the set that trains a row."""
        return self.rows[row].train_set or self.train_set

    def run_folder(self, row: str, seed: int, out: Path) -> Path:
        """Return the folder of a run of the study in `out`."""
        return out / RUNS_FOLDER / f"{row}-{seed}"

    def train_config(self, row: str, seed: int, out: Path) -> TrainConfig:
        """Return the training configuration of one run of the study in the folder `out`.

        Raises:
            ConfigError: there is no such row, or the base or an override does not fit the training configuration.
        """
        if row not in self.rows:
            raise ConfigError(f"study {self.name} has no row {row!r}; it has {', '.join(self.rows)}")
        tree = copy.deepcopy(self.base)
        origin = f"study {self.name}, row {row}"
        for key, value in self.rows[row].overrides.items():
            _put(tree, key, copy.deepcopy(value), origin)  # or what is put below would end up in the row
        for key in (*_OF_THE_STUDY, *(() if self.teacher is None else _OF_ITS_TEACHER)):
            if _has(tree, key):
                raise ConfigError(f"{origin}: {key} is set by the study itself; leave it out")
        _put(tree, "name", f"{self.name}-{row}-{seed}", origin)
        _put(tree, "seed", seed, origin)
        _put(tree, "data.root", str(out / DATA_FOLDER / self.set_of(row)), origin)
        _put(tree, "data.render", True, origin)
        _put(tree, "data.rendering", self.sets[self.set_of(row)].model_dump(), origin)
        if row == self.teacher:
            if _has(tree, "teacher.kind") and tree["teacher"]["kind"] == "student":
                raise ConfigError(f"{origin}: it teaches the others and cannot learn from itself; set its teacher.kind")
        elif self.teacher is not None:
            checkpoint = self.run_folder(self.teacher, self.seeds[0], out) / STUDENT_FOLDER
            _put(tree, "teacher.student.directory", str(checkpoint), origin)
            if tree["teacher"].get("kind") == "assistant":
                _put(tree, "teacher.assistant.primary.student.directory", str(checkpoint), origin)
        return parse_config(TrainConfig, tree, origin)


def load_study(source: str | Path, overrides: Iterable[str] = ()) -> StudyConfig:
    """Return a study (a YAML file or the name of a shipped one) whose every row makes a valid training configuration.

    Args:
        overrides: "a.b=value" each, as `base.optim.steps=600`.

    Raises:
        ConfigError: names the key, row or set that does not fit.
    """
    study = load_config(StudyConfig, source, overrides)
    _require_sets(study)
    _require_other_drives(study)
    _require_rows(study)
    for name in study.rows:
        study.train_config(name, study.seeds[0], Path("out"))
    return study


def _require_sets(study: StudyConfig) -> None:
    training = {study.set_of(row) for row in study.rows} | {study.train_set}
    scored = [entry.set for entry in study.evaluation]
    if unknown := [name for name in (*sorted(training), *scored) if name not in study.sets]:
        raise ConfigError(f"study {study.name}: no set {', '.join(unknown)}; it has {', '.join(study.sets)}")
    if len(set(scored)) < len(scored) or training & set(scored):
        raise ConfigError(
            f"study {study.name}: a set is used twice ({', '.join((*sorted(training), *scored))}); nothing is scored "
            "where it trains"
        )


def _require_rows(study: StudyConfig) -> None:
    named: dict[str, tuple[str, ...]] = {"reference": (study.reference,)}
    if study.teacher is not None:
        named["teacher"] = (study.teacher,)
    named |= {f"row {name}: against": study.others(name) for name in study.rows}
    if study.screening is not None:
        named["screening.always"] = study.screening.always
        if unknown_seeds := set(study.screening.seeds) - set(study.seeds):
            raise ConfigError(f"study {study.name}, screening.seeds {sorted(unknown_seeds)}: not among its seeds")
    for key, rows in named.items():
        if unknown := [row for row in rows if row not in study.rows]:
            raise ConfigError(f"study {study.name}, {key} {', '.join(unknown)}, which is no row")


def _require_other_drives(study: StudyConfig) -> None:
    """A seed is a street: none that trains may be scored, whatever the rig."""
    for name in {study.set_of(row) for row in study.rows}:
        seen = _streets(study, name)
        for entry in study.evaluation:
            if shared := seen & _streets(study, entry.set):
                raise ConfigError(
                    f"study {study.name}: set {entry.set} shares street {min(shared)} with {name}; nothing is scored "
                    "on what trains: give it other seeds (first_seed)"
                )


def _streets(study: StudyConfig, name: str) -> set[int]:
    entry = study.sets[name]
    return set(range(entry.first_seed, entry.first_seed + entry.n_drives))


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
