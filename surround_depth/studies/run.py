"""One student of a study: where it lies, what it is trained from, and how far it got.

A run's folder OUT/runs/ROW-SEED holds config.yaml (the resolved training configuration), run.json (what it was made
from and how far it got), what the training command leaves (student/ among it), train.log and scores.json.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surround_depth.config import load_config
from surround_depth.errors import ConfigError
from surround_depth.files import file_sha256
from surround_depth.models.checkpoint import WEIGHTS_NAME
from surround_depth.studies.config import DATA_FOLDER, STUDENT_FOLDER, StudyConfig
from surround_depth.studies.corruptions import operations_sha256
from surround_depth.studies.data import set_sha256
from surround_depth.studies.scoring import CORRUPTION_SEED, MEASURES
from surround_depth.teachers.build import SingleTeacherConfig, TeacherConfig
from surround_depth.teachers.stereo_checkpoint import WEIGHTS_NAME as STEREO_WEIGHTS_NAME
from surround_depth.training.config import RenderConfig, TrainConfig
from surround_depth.training.logbook import METRICS_NAME

CONFIG_NAME, RECORD_NAME, SCORES_NAME, FAILURE_NAME = "config.yaml", "run.json", "scores.json", "failure.txt"


@dataclass(frozen=True)
class Run:
    """One student of a study."""

    study: StudyConfig
    row: str
    seed: int
    out: Path
    """Folder of the study."""

    @property
    def data(self) -> Path:
        """Folder of the rendered sets."""
        return self.out / DATA_FOLDER

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.study.run_folder(self.row, self.seed, self.out)

    @property
    def train_set(self) -> RenderConfig:
        """What its streets are rendered from."""
        return self.study.sets[self.study.set_of(self.row)]

    @property
    def teacher(self) -> Run | None:
        """The run whose student teaches this one."""
        row = self.study.teacher
        if row is None or row == self.row or self.config.teacher.kind not in ("student", "assistant"):
            return None
        return Run(self.study, row, self.study.seeds[0], self.out)

    @property
    def config(self) -> TrainConfig:
        """The training configuration."""
        return self.study.train_config(self.row, self.seed, self.out)

    def scoring_sha256(self, weights_sha256: str) -> str:
        """Return a hash over what is scored and on what."""
        sets = [
            (entry.model_dump(mode="json"), set_sha256(self.study.sets[entry.set])) for entry in self.study.evaluation
        ]
        measured = [list(MEASURES), CORRUPTION_SEED, operations_sha256()]
        return hashlib.sha256(json.dumps([weights_sha256, sets, measured]).encode()).hexdigest()


def runs_of(study: StudyConfig, out: Path, rows: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Run]:
    """Return the runs of a study or of a part of it, first seeds first: half a study then compares all rows.

    Raises:
        ConfigError: there is no such row.
    """
    pairs = [(row, seed) for seed in seeds or study.seeds for row in rows or study.rows]
    # one teacher is enough
    return [Run(study, row, seed, out) for row, seed in pairs if row != study.teacher or seed == study.seeds[0]]


def is_trained(run: Run) -> bool:
    """Return whether the run's checkpoint is whole and came from exactly this configuration and data."""
    weights = run.folder / STUDENT_FOLDER / WEIGHTS_NAME
    if run.teacher is not None and not is_trained(run.teacher):
        return False
    return is_begun(run) and "weights_sha256" in read_record(run.folder / RECORD_NAME) and weights.is_file()


def is_begun(run: Run) -> bool:
    """Return whether what lies in the run's folder was begun by this configuration, on this data.

    Configurations are compared, not their texts: a key that the project has learnt since changes nothing while it has
    its default, and a default that has changed since does count.
    """
    record = read_record(run.folder / RECORD_NAME)
    if record.get("data_sha256") != set_sha256(run.train_set) or record.get("teacher_sha256") != teacher_sha256(run):
        return False
    try:
        begun = load_config(TrainConfig, run.folder / CONFIG_NAME)
    except ConfigError:
        return False
    return _without_place(begun) == _without_place(run.config)


def teacher_sha256(run: Run) -> str | None:
    """Return the hash of the weights that teach a run; None where neither a student nor a stereo network does."""
    if (teacher := run.teacher) is not None:
        return read_record(teacher.folder / RECORD_NAME).get("weights_sha256")
    stereo = run.config.teacher
    if stereo.kind != "stereo" or stereo.stereo.directory is None:
        return None
    weights = Path(stereo.stereo.directory).expanduser() / STEREO_WEIGHTS_NAME
    return file_sha256(weights) if weights.is_file() else None


def _without_place(config: TrainConfig) -> TrainConfig:
    """Return the configuration without where its data and its teachers lie; all are known by their hashes."""
    data = config.data.model_copy(update={"root": "", "rendering": RenderConfig()})
    changes: dict[str, Any] = {"cache": None, **_nowhere(config.teacher)}
    if (pair := config.teacher.assistant) is not None:
        both = {"primary": pair.primary, "assistant": pair.assistant}
        moved = {role: one.model_copy(update=_nowhere(one)) for role, one in both.items()}
        changes["assistant"] = pair.model_copy(update=moved)
    return config.model_copy(update={"data": data, "teacher": config.teacher.model_copy(update=changes)})


def _nowhere(teacher: TeacherConfig | SingleTeacherConfig) -> dict[str, Any]:
    place = {"directory": None, "device": "cpu"}
    changes = {name: getattr(teacher, name).model_copy(update=place) for name in ("student", "stereo")}
    return changes | {"depth_anything": teacher.depth_anything.model_copy(update={"device": "cpu"})}


def read_scores(run: Run) -> dict[str, Any] | None:
    """Return set -> condition -> measure -> drive -> value of a run; None where it is not trained or scored (anew)."""
    record = read_record(run.folder / RECORD_NAME)
    found = read_record(run.folder / SCORES_NAME)
    if not is_trained(run) or found.get("scoring_sha256") != run.scoring_sha256(record["weights_sha256"]):
        return None
    scores: dict[str, Any] = found["scores"]
    return scores


def validation_error(run: Run) -> float:
    """Return the last validation error (AbsRel against exact depth) of a trained run; NaN where there is none."""
    path = run.folder / METRICS_NAME
    if not is_trained(run) or not path.is_file():
        return math.nan
    value = json.loads(path.read_text(encoding="utf-8"))[-1].get("dense", {}).get("abs_rel")
    return math.nan if value is None else float(value)


def read_failure(run: Run) -> str | None:
    """Return the error line of a run that failed when it was last tried."""
    path = run.folder / FAILURE_NAME
    return path.read_text(encoding="utf-8").partition("\n")[0] if path.is_file() else None


def read_commit(run: Run) -> str:
    """Return the commit that trained a run, "" where that is not known."""
    return str(read_record(run.folder / RECORD_NAME).get("commit", ""))


def read_record(path: Path) -> dict[str, Any]:
    """Return a record of ours; empty where there is none or it cannot be read: the work is then done again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
