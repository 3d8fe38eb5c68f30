"""Labels every sample that a run learns from, once, ahead of it: shared by processes, resumed by starting again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from surround_depth.errors import SurroundDepthError
from surround_depth.teachers.label_cache import LabelCache, LabelError, cache_key
from surround_depth.teachers.patches import window_inputs
from surround_depth.teachers.teacher import Teacher, TeacherInput, TeacherLabel
from surround_depth.training.label_id import label_id
from surround_depth.training.label_task import LabelTask, SamplePlace
from surround_depth.training.samples import SamplePreparer
from surround_depth.training.stages import SampleError

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class LabelReport:
    """What labelling came to: of one sample, of a process's share, or of all."""

    n_samples: int = 0
    """At one size each; a label of its pictures, and where the losses ask for them one of each window."""
    n_made: int = 0
    """Labels."""
    n_kept: int = 0
    """Labels that were there, whole."""
    n_damaged: int = 0
    """Of those made: in place of a damaged file."""
    n_bytes: int = 0
    """Of all labels, made and kept."""
    seconds: float = 0.0
    """Of the slowest process."""

    @property
    def bytes_per_sample(self) -> float:
        """Mean size; 0 where there is no sample."""
        return self.n_bytes / max(1, self.n_samples)

    @property
    def samples_per_s(self) -> float:
        """Samples seen to in a second by all processes together, reading and writing included."""
        return self.n_samples / self.seconds if self.seconds > 0.0 else 0.0

    @classmethod
    def of_all(cls, reports: Iterable[LabelReport]) -> LabelReport:
        """Return the reports of processes that worked side by side as one."""
        shares = list(reports)
        names = ("n_samples", "n_made", "n_kept", "n_damaged", "n_bytes")
        counts = {name: sum(getattr(one, name) for one in shares) for name in names}
        return cls(**counts, seconds=max((one.seconds for one in shares), default=0.0))


class LabelWatcher(Protocol):
    """Told how a process gets on with its share."""

    def on_start(self, n_samples: int) -> None:
        """So many samples are this process's to see to; one at two sizes counts twice."""

    def on_sample(self, name: str, labels: LabelReport) -> None:
        """All labels of one more are in the cache."""


def open_caches(task: LabelTask, teacher: Teacher, folder: Path) -> None:
    """Write beside the labels whose they are, and delete what a killed process was writing.

    One process does it, before any labels.

    Args:
        folder: of all caches.

    Raises:
        DataError: the folder cannot be written.
    """
    for height_px, width_px in {size for spec in task.specs for size in task.label_sizes(spec)}:
        cache = LabelCache(folder, cache_key(teacher.fingerprint, height_px, width_px))
        cache.clear_leftovers()
        cache.describe(teacher, height_px, width_px)


def label_samples(
    task: LabelTask,
    teacher: Teacher,
    folder: Path,
    *,
    watcher: LabelWatcher,
    rank: int = 0,
    n_processes: int = 1,
    n_threads: int = 1,
) -> LabelReport:
    """Label this process's share of `task`; a label that is there and whole is kept, a damaged one made anew.

    Threads read samples ahead of the teacher and write labels behind it; the teacher itself is called here, for one
    sample at a time.

    Raises:
        SampleError: a sample cannot be read or labelled; the message names it.
        DataError: the disk is full.
    """
    labeller = _Labeller(task, teacher, folder)
    places = task.share(rank, n_processes)
    watcher.on_start(len(places))
    start_s = time.perf_counter()
    reports: list[LabelReport] = []
    with ThreadPoolExecutor(n_threads, thread_name_prefix="labels") as pool:
        looked = _in_order(pool, labeller.look, places, 2 * n_threads)
        for name, report in _in_order(pool, labeller.store, map(labeller.label, looked), 2 * n_threads):
            reports.append(report)
            watcher.on_sample(name, report)
    return replace(LabelReport.of_all(reports), seconds=time.perf_counter() - start_s)


@dataclass(frozen=True)
class _Sample:
    """One sample on its way through the three steps: what it lacks, and what the teacher said of that."""

    name: str
    own_id: str
    """Of the label of its whole pictures."""
    report: LabelReport
    missing: tuple[TeacherInput, ...] = ()
    made: tuple[TeacherLabel, ...] = ()


class _Labeller:
    """The three steps of one sample; the first and the last run in threads."""

    def __init__(self, task: LabelTask, teacher: Teacher, folder: Path) -> None:
        self._task, self._teacher, self._folder = task, teacher, folder
        self._fingerprint = teacher.fingerprint
        self._preparers = {spec: SamplePreparer(spec, teacher) for spec in task.specs}

    def look(self, place: SamplePlace) -> _Sample:
        """Return what a sample lacks, as the teacher is to be given it."""
        spec, sequence, i = place
        name = f"sample {i} of {sequence.name}"
        try:
            sample = sequence[i]
            own_id = label_id(sample, spec)
            ids = self._task.label_ids(own_id)
            sizes = self._task.label_sizes(spec)
            shapes = [(len(sample.frame.rig), *size) for size in sizes]
            found = [self._whole_bytes(one, shape) for one, shape in zip(ids, shapes, strict=True)]
            kept = [n_bytes for n_bytes in found if n_bytes]
            report = LabelReport(1, n_kept=len(kept), n_damaged=found.count(None), n_bytes=sum(kept))
            if len(kept) == len(ids):
                return _Sample(name, own_id, report)
            whole = self._preparers[spec].teacher_input(sample)
            given = (whole, *window_inputs(whole)) if self._task.windows else (whole,)
            missing = tuple(one for one, n_bytes in zip(given, found, strict=True) if not n_bytes)
            return _Sample(name, own_id, report, missing)
        except SurroundDepthError as error:
            raise SampleError(f"{name}: {error}") from error

    def label(self, sample: _Sample) -> _Sample:
        """Ask the teacher for what is missing."""
        try:
            labels = [self._teacher(given) for given in sample.missing]
        except SurroundDepthError as error:
            raise SampleError(f"{sample.name}: {error}") from error
        return replace(sample, made=tuple(labels))

    def store(self, sample: _Sample) -> tuple[str, LabelReport]:
        """Write what was made; features and trust of whole pictures alone: no loss asks for those of a window."""
        n_bytes = sample.report.n_bytes
        for given, label in zip(sample.missing, sample.made, strict=True):
            assert given.label_id is not None
            if given.label_id != sample.own_id:
                label = replace(label, features=None, trust=None)
            cache = self._cache(*label.valid.shape[1:])
            n_bytes += cache.write(given.label_id, label, given.sample_id)
        return sample.name, replace(sample.report, n_made=len(sample.made), n_bytes=n_bytes)

    def _whole_bytes(self, own_id: str, shape: tuple[int, int, int]) -> int | None:
        """Return the size of a label that is there and whole, 0 where none is, None where it is damaged."""
        cache = self._cache(*shape[1:])
        try:
            return 0 if cache.read(own_id, shape) is None else cache.path_of(own_id).stat().st_size
        except LabelError:
            return None

    def _cache(self, height_px: int, width_px: int) -> LabelCache:
        return LabelCache(self._folder, cache_key(self._fingerprint, height_px, width_px))


def _in_order(pool: Executor, function: Callable[[Item], Made], items: Iterable[Item], n_ahead: int) -> Iterator[Made]:
    """Yield `function` of every item in order, run in the pool for at most `n_ahead` items that nobody has taken."""
    running: deque[Future[Made]] = deque()
    for item in items:
        running.append(pool.submit(function, item))
        if len(running) >= n_ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
