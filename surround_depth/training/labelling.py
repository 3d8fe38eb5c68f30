"""Labels every sample that a run learns from, once, ahead of it: shared by processes, resumed by starting again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from surround_depth.data.sample import SampleSequence
from surround_depth.errors import SurroundDepthError
from surround_depth.imaging import InputSpec
from surround_depth.teachers.build import TeacherConfig
from surround_depth.teachers.label_cache import LabelCache, LabelError, cache_key
from surround_depth.teachers.teacher import Teacher, TeacherInput, TeacherLabel
from surround_depth.training.config import TrainConfig
from surround_depth.training.drives import Drives
from surround_depth.training.label_id import label_id
from surround_depth.training.samples import SamplePreparer
from surround_depth.training.stages import SampleError

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class StoredLabel:
    """One label that is in the cache now."""

    sample: str
    """For messages: its drive and its place in it."""
    n_bytes: int
    made: bool
    """By this call; else it was there, whole."""
    replaced_damage: bool = False
    """A file that was there was not whole."""


@dataclass(frozen=True)
class LabelReport:
    """What labelling came to, of one process or of all."""

    n_made: int = 0
    n_kept: int = 0
    n_damaged: int = 0
    """Of those made: in place of a damaged file."""
    n_bytes: int = 0
    """Of all labels, made and kept."""
    seconds: float = 0.0
    """Of the slowest process."""

    @property
    def n_labels(self) -> int:
        """Labels in the cache: every sample has one at every size of the run."""
        return self.n_made + self.n_kept

    @property
    def bytes_per_label(self) -> float:
        """Mean size; 0 where there is none."""
        return self.n_bytes / max(1, self.n_labels)

    @property
    def labels_per_s(self) -> float:
        """Labels made in a second by all processes together, reading and writing included."""
        return self.n_made / self.seconds if self.seconds > 0.0 else 0.0

    @classmethod
    def of_all(cls, reports: Iterable[LabelReport]) -> LabelReport:
        """Return the reports of processes that worked side by side as one."""
        shares = list(reports)
        counts = {name: sum(getattr(one, name) for one in shares) for name in ("n_made", "n_kept", "n_damaged")}
        seconds = max((one.seconds for one in shares), default=0.0)
        return cls(**counts, n_bytes=sum(one.n_bytes for one in shares), seconds=seconds)


class LabelWatcher(Protocol):
    """Told how a process gets on with its share."""

    def on_start(self, n_labels: int) -> None:
        """So many labels are this process's to see to."""

    def on_label(self, label: StoredLabel) -> None:
        """One more is in the cache."""


@dataclass(frozen=True)
class LabelTask:
    """Which samples get labels, at which sizes."""

    sequences: tuple[SampleSequence, ...]
    specs: tuple[InputSpec, ...]

    def share(self, rank: int, n_processes: int) -> list[_Place]:
        """Return every n-th label: neighbours are equally dear, so no process is left waiting."""
        places = [
            (spec, sequence, i) for spec in self.specs for sequence in self.sequences for i in range(len(sequence))
        ]
        return places[rank::n_processes]


_Place = tuple[InputSpec, SampleSequence, int]


def teacher_on(device: Literal["cpu", "cuda"], config: TeacherConfig) -> TeacherConfig:
    """Return the same teacher with its model on `device`; neither labels nor fingerprint depend on that.

    A run's own setting is that of the loader's workers, who cannot share a GPU.
    """
    place = {"depth_anything": config.depth_anything.model_copy(update={"device": device})}
    if (pair := config.assistant) is not None:
        moved = {
            role: one.model_copy(update={"depth_anything": one.depth_anything.model_copy(update={"device": device})})
            for role, one in (("primary", pair.primary), ("assistant", pair.assistant))
        }
        return config.model_copy(update={**place, "assistant": pair.model_copy(update=moved)})
    return config.model_copy(update=place)


def label_task(config: TrainConfig, drives: Drives, *, validation: bool = False) -> LabelTask:
    """Return every training sample of a run, once, at the input's size and the coarse stage's.

    Args:
        validation: those that validate too.
    """
    sequences = [sequence for one in drives.sets for sequence in (*one.train, *(one.val if validation else ()))]
    once = tuple({id(sequence): sequence for sequence in sequences}.values())
    specs = (config.input,) if config.coarse is None else (config.input, config.coarse.input)
    return LabelTask(once, tuple(dict.fromkeys(specs)))


def label_caches(task: LabelTask, teacher: Teacher, folder: Path) -> dict[InputSpec, LabelCache]:
    """Return where the labels of every size go, below the `folder` of all caches."""
    return {
        spec: LabelCache(folder, cache_key(teacher.fingerprint, spec.height_px, spec.width_px)) for spec in task.specs
    }


def open_caches(task: LabelTask, teacher: Teacher, folder: Path) -> None:
    """Write beside the labels whose they are, and delete what a killed process was writing.

    One process does it, before any labels.

    Raises:
        DataError: the folder cannot be written.
    """
    for spec, cache in label_caches(task, teacher, folder).items():
        cache.clear_leftovers()
        cache.describe(teacher, spec.height_px, spec.width_px)


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
    labeller = _Labeller(teacher, label_caches(task, teacher, folder))
    places = task.share(rank, n_processes)
    watcher.on_start(len(places))
    start_s = time.perf_counter()
    stored: list[StoredLabel] = []
    with ThreadPoolExecutor(n_threads, thread_name_prefix="labels") as pool:
        read = _in_order(pool, labeller.read, places, 2 * n_threads)
        for label in _in_order(pool, labeller.store, map(labeller.label, read), 2 * n_threads):
            stored.append(label)
            watcher.on_label(label)
    n_made = sum(label.made for label in stored)
    return LabelReport(
        n_made=n_made,
        n_kept=len(stored) - n_made,
        n_damaged=sum(label.replaced_damage for label in stored),
        n_bytes=sum(label.n_bytes for label in stored),
        seconds=time.perf_counter() - start_s,
    )


@dataclass(frozen=True)
class _Missing:
    """A sample without a label, and later with one."""

    sample: str
    cache: LabelCache
    given: TeacherInput
    was_damaged: bool
    label: TeacherLabel | None = None


class _Labeller:
    """The three steps of one label; the first and the last run in threads."""

    def __init__(self, teacher: Teacher, caches: dict[InputSpec, LabelCache]) -> None:
        self._teacher = teacher
        self._caches = caches
        self._preparers = {spec: SamplePreparer(spec, teacher) for spec in caches}

    def read(self, place: _Place) -> StoredLabel | _Missing:
        """Return the label that is there, else what the teacher is to be given."""
        spec, sequence, i = place
        name, cache = f"sample {i} of {sequence.name}", self._caches[spec]
        try:
            sample = sequence[i]
            own_id = label_id(sample, spec)
            was_damaged = False
            try:
                if cache.read(own_id, (len(sample.frame.rig), spec.height_px, spec.width_px)) is not None:
                    return StoredLabel(name, cache.path_of(own_id).stat().st_size, made=False)
            except LabelError:
                was_damaged = True
            return _Missing(name, cache, self._preparers[spec].teacher_input(sample), was_damaged)
        except SurroundDepthError as error:
            raise SampleError(f"{name}: {error}") from error

    def label(self, read: StoredLabel | _Missing) -> StoredLabel | _Missing:
        """Ask the teacher where there is no label."""
        if isinstance(read, StoredLabel):
            return read
        try:
            return _Missing(read.sample, read.cache, read.given, read.was_damaged, self._teacher(read.given))
        except SurroundDepthError as error:
            raise SampleError(f"{read.sample}: {error}") from error

    def store(self, labelled: StoredLabel | _Missing) -> StoredLabel:
        """Write a label that was made."""
        if isinstance(labelled, StoredLabel):
            return labelled
        given, label = labelled.given, labelled.label
        assert given.label_id is not None
        assert label is not None
        n_bytes = labelled.cache.write(given.label_id, label, given.sample_id)
        return StoredLabel(labelled.sample, n_bytes, made=True, replaced_damage=labelled.was_damaged)


def _in_order(pool: Executor, function: Callable[[Item], Made], items: Iterable[Item], n_ahead: int) -> Iterator[Made]:
    """Yield `function` of every item in order, run in the pool for at most `n_ahead` items that nobody has taken."""
    running: deque[Future[Made]] = deque()
    for item in items:
        running.append(pool.submit(function, item))
        if len(running) >= n_ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
