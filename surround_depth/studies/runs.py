"""Training and scoring every student of a study, several at a time; what is done is not done again."""

from __future__ import annotations

import os
import shutil
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from surround_depth.config import dump_config
from surround_depth.errors import DataError, SurroundDepthError
from surround_depth.files import file_sha256, write_atomic, write_json
from surround_depth.models.checkpoint import WEIGHTS_NAME
from surround_depth.provenance import source_commit
from surround_depth.studies.config import STUDENT_FOLDER, StudyConfig
from surround_depth.studies.data import set_sha256
from surround_depth.studies.run import (
    CONFIG_NAME,
    FAILURE_NAME,
    RECORD_NAME,
    SCORES_NAME,
    Run,
    is_begun,
    is_trained,
    read_record,
    read_scores,
    teacher_sha256,
)

Trainer = Callable[[Path, Path], None]
"""(config file, folder of the run) -> leaves the checkpoint `student/` there, or raises; picklable."""
Scorer = Callable[[Path, StudyConfig, Path], Mapping[str, Any]]
"""(checkpoint, study, folder of the rendered sets) -> scores; picklable."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    row: str
    seed: int
    trained_s: float  # 0 where a checkpoint lay there
    scored_s: float
    error: str | None = None


def complete(runs: Sequence[Run], train: Trainer, score: Scorer) -> Iterator[Outcome]:
    """Train and score each run, `n_workers` at a time; yield what came of each as it ends. None stops the others.

    What teaches others comes first, asked for or not, beside the runs that need no teacher; its pupils follow once
    it has ended.

    Raises:
        DataError: a process of ours was killed.
    """
    teachers = {(one.row, one.seed): one for run in runs if (one := run.teacher) is not None}
    pupils: dict[tuple[str, int], list[Run]] = {key: [] for key in teachers}
    untaught = []
    for run in runs:
        if (teacher := run.teacher) is not None:
            pupils[teacher.row, teacher.seed].append(run)
        elif (run.row, run.seed) not in teachers:
            untaught.append(run)
    n_workers = min(runs[0].study.n_workers, len(runs)) if runs else 1
    pending, running = deque([*teachers.values(), *untaught]), set[Future[Outcome]]()
    pool = _pool(n_workers)
    try:
        while pending or running:
            while pending and len(running) < n_workers:
                running.add(pool.submit(complete_run, pending.popleft(), train, score))
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for outcome in [future.result() for future in ended]:
                yield outcome
                taught = pupils.pop((outcome.row, outcome.seed), [])
                if outcome.error is None:
                    pending.extend(taught)
                    continue
                for run in taught:
                    yield Outcome(run.row, run.seed, 0.0, 0.0, f"its teacher failed: {outcome.error}")
    except BrokenProcessPool as error:
        raise DataError(
            "a process of the study was killed (out of memory?); start it again: what is done stays"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Inline(Executor):
    """Runs what is submitted in this process, at once."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


def _pool(n_workers: int) -> Executor:
    if n_workers == 1:
        return _Inline()
    # spawn: a forked torch or numba runtime may hang
    return ProcessPoolExecutor(n_workers, get_context("spawn"), initializer=end_with_parent)


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


def _train(run: Run, train: Trainer) -> None:
    """Train into the run's folder; what another configuration left there goes, what this one left may be resumed."""
    if not is_begun(run):
        shutil.rmtree(run.folder, ignore_errors=True)
    config_path = run.folder / CONFIG_NAME
    write_atomic(config_path, dump_config(run.config).encode())
    record = {
        "data_sha256": set_sha256(run.train_set),
        "teacher_sha256": teacher_sha256(run),
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
    weights_sha256 = read_record(run.folder / RECORD_NAME)["weights_sha256"]
    scores = score(run.folder / STUDENT_FOLDER, run.study, run.data)
    write_json(run.folder / SCORES_NAME, {"scoring_sha256": run.scoring_sha256(weights_sha256), "scores": scores})
