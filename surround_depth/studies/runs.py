"""Training and scoring every student of a study, several at a time; what is done is not done again.

A run's folder OUT/runs/ROW-SEED holds config.yaml (the resolved training configuration), run.json (what it was made
from and how far it got), what the training command leaves (student/ among it), train.log and scores.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from surround_depth.config import dump_config, load_config
from surround_depth.errors import ConfigError, DataError, SurroundDepthError
from surround_depth.files import file_sha256, write_atomic, write_json
from surround_depth.models.checkpoint import WEIGHTS_NAME
from surround_depth.provenance import source_commit
from surround_depth.studies.config import DATA_FOLDER, STUDENT_FOLDER, StudyConfig
from surround_depth.studies.corruptions import operations_sha256
from surround_depth.studies.data import set_sha256
from surround_depth.studies.scoring import CORRUPTION_SEED, MEASURES
from surround_depth.training.config import RenderConfig, TrainConfig

CONFIG_NAME, RECORD_NAME, SCORES_NAME, FAILURE_NAME = "config.yaml", "run.json", "scores.json", "failure.txt"

Trainer = Callable[[Path, Path], None]
"""(config file, folder of the run) -> leaves the checkpoint `student/` there, or raises; picklable."""
Scorer = Callable[[Path, StudyConfig, Path], Mapping[str, Any]]
"""(checkpoint, study, folder of the rendered sets) -> scores; picklable."""


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


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    row: str
    seed: int
    trained_s: float  # 0 where a checkpoint lay there
    scored_s: float
    error: str | None = None


def runs_of(study: StudyConfig, out: Path, rows: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Run]:
    """Return the runs of a study or of a part of it, first seeds first: half a study then compares all rows.

    Raises:
        ConfigError: there is no such row.
    """
    pairs = [(row, seed) for seed in seeds or study.seeds for row in rows or study.rows]
    return [Run(study, row, seed, out) for row, seed in pairs if row not in study.rows or seed in study.seeds_of(row)]


def complete(runs: Sequence[Run], train: Trainer, score: Scorer) -> Iterator[Outcome]:
    """Train and score each run, `n_workers` at a time; yield what came of each as it ends. None stops the others.

    What teaches others comes first, asked for or not.

    Raises:
        DataError: a process of ours was killed.
    """
    teachers = {teacher.folder: teacher for run in runs if (teacher := run.teacher) is not None}
    failed = {}
    for folder, teacher in teachers.items():
        outcome = complete_run(teacher, train, score)
        if outcome.error is not None:
            failed[folder] = outcome.error
        yield outcome
    runs = [run for run in runs if run.folder not in teachers]
    for run in runs:
        if run.teacher is not None and run.teacher.folder in failed:
            yield Outcome(run.row, run.seed, 0.0, 0.0, f"its teacher failed: {failed[run.teacher.folder]}")
    runs = [run for run in runs if run.teacher is None or run.teacher.folder not in failed]
    n_workers = min(runs[0].study.n_workers, len(runs)) if runs else 0
    if n_workers <= 1:
        yield from (complete_run(run, train, score) for run in runs)
        return
    # spawn: a forked torch or numba runtime may hang
    pool = ProcessPoolExecutor(n_workers, get_context("spawn"), initializer=end_with_parent)
    try:
        for future in as_completed([pool.submit(complete_run, run, train, score) for run in runs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "a process of the study was killed (out of memory?); start it again: what is done stays"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent(patience_s: float = 5.0) -> None:
    """Let this worker end when the process that started it has ended, however that was: a pool's workers wait for ever.

    Args:
        patience_s: until then; the training command that it has started is ended first (`studies.trainer`).
    """
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            time.sleep(patience_s)
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def complete_run(run: Run, train: Trainer, score: Scorer) -> Outcome:
    """Train and score one run unless that is done; an error becomes part of the outcome and of the run's record."""
    start_s = time.monotonic()
    trained_s = 0.0
    try:
        (run.folder / FAILURE_NAME).unlink(missing_ok=True)
        if not is_trained(run):
            _train(run, train)
            trained_s = time.monotonic() - start_s
        if read_scores(run) is None:
            _score(run, score)
    except Exception as error:  # whatever it is, the other runs of the night go on
        known = isinstance(error, SurroundDepthError)
        line = str(error) if known else f"{type(error).__name__}: {error}"
        write_atomic(run.folder / FAILURE_NAME, f"{line}\n\n{traceback.format_exc()}".encode())
        return Outcome(run.row, run.seed, trained_s, time.monotonic() - start_s - trained_s, line)
    return Outcome(run.row, run.seed, trained_s, time.monotonic() - start_s - trained_s)


def is_trained(run: Run) -> bool:
    """Return whether the run's checkpoint is whole and came from exactly this configuration and data."""
    weights = run.folder / STUDENT_FOLDER / WEIGHTS_NAME
    if run.teacher is not None and not is_trained(run.teacher):
        return False
    return _is_begun(run) and "weights_sha256" in _read_json(run.folder / RECORD_NAME) and weights.is_file()


def _is_begun(run: Run) -> bool:
    """Return whether what lies in the run's folder was begun by this configuration, on this data.

    Configurations are compared, not their texts: a key that the project has learnt since changes nothing while it has
    its default, and a default that has changed since does count.
    """
    record = _read_json(run.folder / RECORD_NAME)
    if record.get("data_sha256") != set_sha256(run.train_set) or record.get("teacher_sha256") != _teacher_sha256(run):
        return False
    try:
        begun = load_config(TrainConfig, run.folder / CONFIG_NAME)
    except ConfigError:
        return False
    return _without_place(begun) == _without_place(run.config)


def _teacher_sha256(run: Run) -> str | None:
    """Return the hash of the weights that teach a run; None where no student does."""
    teacher = run.teacher
    return None if teacher is None else _read_json(teacher.folder / RECORD_NAME).get("weights_sha256")


def _without_place(config: TrainConfig) -> TrainConfig:
    """Return the configuration without where its data and its teacher lie; both are known by their hashes."""
    data = config.data.model_copy(update={"root": "", "rendering": RenderConfig()})
    nowhere = config.teacher.student.model_copy(update={"directory": None})
    changes: dict[str, Any] = {"student": nowhere, "cache": None}
    if (pair := config.teacher.assistant) is not None:
        changes["assistant"] = pair.model_copy(update={"primary": pair.primary.model_copy(update={"student": nowhere})})
    return config.model_copy(update={"data": data, "teacher": config.teacher.model_copy(update=changes)})


def read_scores(run: Run) -> dict[str, Any] | None:
    """Return set -> condition -> measure -> drive -> value of a run; None where it is not trained or scored (anew)."""
    record = _read_json(run.folder / RECORD_NAME)
    found = _read_json(run.folder / SCORES_NAME)
    if not is_trained(run) or found.get("scoring_sha256") != run.scoring_sha256(record["weights_sha256"]):
        return None
    scores: dict[str, Any] = found["scores"]
    return scores


def read_failure(run: Run) -> str | None:
    """Return the error line of a run that failed when it was last tried."""
    path = run.folder / FAILURE_NAME
    return path.read_text(encoding="utf-8").partition("\n")[0] if path.is_file() else None


def read_commit(run: Run) -> str:
    """Return the commit that trained a run, "" where that is not known."""
    return str(_read_json(run.folder / RECORD_NAME).get("commit", ""))


def _train(run: Run, train: Trainer) -> None:
    """Train into the run's folder; what another configuration left there goes, what this one left may be resumed."""
    if not _is_begun(run):
        shutil.rmtree(run.folder, ignore_errors=True)
    config_path = run.folder / CONFIG_NAME
    write_atomic(config_path, dump_config(run.config).encode())
    record = {
        "data_sha256": set_sha256(run.train_set),
        "teacher_sha256": _teacher_sha256(run),
        "commit": source_commit(),
    }
    write_json(run.folder / RECORD_NAME, record)
    start_s = time.monotonic()
    train(config_path, run.folder)
    weights = run.folder / STUDENT_FOLDER / WEIGHTS_NAME
    if not weights.is_file():
        raise DataError(f"{run.folder}: the training command left no {STUDENT_FOLDER}/{WEIGHTS_NAME}")
    done = {"weights_sha256": file_sha256(weights), "seconds": round(time.monotonic() - start_s, 1)}
    write_json(run.folder / RECORD_NAME, record | done)


def _score(run: Run, score: Scorer) -> None:
    weights_sha256 = _read_json(run.folder / RECORD_NAME)["weights_sha256"]
    scores = score(run.folder / STUDENT_FOLDER, run.study, run.data)
    write_json(run.folder / SCORES_NAME, {"scoring_sha256": run.scoring_sha256(weights_sha256), "scores": scores})


def _read_json(path: Path) -> dict[str, Any]:
    """Return a record of ours; empty where there is none or it cannot be read: the work is then done again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
