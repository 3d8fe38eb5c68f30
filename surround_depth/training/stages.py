"""What each step of a run learns from: coarse pictures first, where the run has such a stage, then full ones.

Step s of W processes takes the draws [s D, (s + 1) D), D = batch_size x accumulation x W, and each process its own
contiguous share of them. So two processes learn exactly what one learns that accumulates two micro-batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from surround_depth.errors import DataError, SurroundDepthError
from surround_depth.imaging import InputSpec
from surround_depth.losses.build import needs_features, needs_patches
from surround_depth.teachers.teacher import Teacher
from surround_depth.training.config import TrainConfig
from surround_depth.training.dataset import Batch, DrawnSamples, training_batches
from surround_depth.training.drives import Drives
from surround_depth.training.prepared import PreparedSample
from surround_depth.training.samples import LabelWants, SamplePreparer, SampleStore


class SampleError(DataError):
    """A sample cannot be read or prepared; the message names it."""


class OwnDraws(DrawnSamples):
    """The draws of one process, counted from 0: item k is the k-th draw that is this process's."""

    def __init__(self, store: SampleStore, config: TrainConfig, *, rank: int, n_processes: int) -> None:
        super().__init__(store, config.augment, config.seed)
        self._share = config.optim.batch_size * config.optim.accumulation
        self._rank, self._n_processes = rank, n_processes

    def __getitem__(self, own_draw: int) -> PreparedSample:
        step, place = divmod(own_draw, self._share)
        draw = (step * self._n_processes + self._rank) * self._share + place
        try:
            return super().__getitem__(draw)
        except SurroundDepthError as error:
            raise SampleError(f"{self.store.name_of(self.index_of(draw))}: {error}") from error
        except Exception as error:  # a fault of ours keeps its traceback
            error.add_note(f"while preparing {self.store.name_of(self.index_of(draw))}")
            raise


def open_stages(config: TrainConfig, drives: Drives, teacher: Teacher | None, *, rank: int, n_processes: int) -> Stages:
    """Return what every step of process `rank` learns from."""
    wants = LabelWants(features=needs_features(config.loss), patches=needs_patches(config.loss))

    def store(spec: InputSpec) -> SampleStore:
        preparer = SamplePreparer(spec, teacher, wants)
        return SampleStore(
            drives.train,
            preparer,
            cache=config.data.cache,
            sweeps=config.data.lidar_sweeps,
            n_beams=config.data.lidar_beams,
            context_gap_s=config.loss.photometric.context_gap_s,
        )

    coarse = None if config.coarse is None else store(config.coarse.input)
    return Stages(config, store(config.input), coarse, rank=rank, n_processes=n_processes)


class Stages:
    """The micro-batches of every step for one process.

    Args:
        store: the training samples.
        coarse_store: the same at the resolution of the coarse stage, or None without one.
    """

    def __init__(
        self, config: TrainConfig, store: SampleStore, coarse_store: SampleStore | None, *, rank: int, n_processes: int
    ) -> None:
        self._config = config
        self._draws = OwnDraws(store, config, rank=rank, n_processes=n_processes)
        self._coarse_draws: OwnDraws | None = None
        self._n_coarse = 0
        if coarse_store is not None and config.coarse is not None:
            self._coarse_draws = OwnDraws(coarse_store, config, rank=rank, n_processes=n_processes)
            self._n_coarse = round(config.coarse.share * config.optim.steps)

    def teacher_channels(self) -> int:
        """Return how many channels the teacher's features have, from the first sample.

        Raises:
            ConfigError: the teacher has none.
        """
        features = self._draws.store[0].features
        assert features is not None  # prepared with them, or refused by then
        return int(features.shape[1])

    def after(self, step: int) -> Iterator[tuple[Batch, ...]]:
        """Yield the micro-batches of each step that follows the first `step` ones."""
        if self._coarse_draws is not None and step < self._n_coarse:
            yield from self._stage(self._coarse_draws, step, self._n_coarse)
        first = max(step, self._n_coarse)
        if first < self._config.optim.steps:
            yield from self._stage(self._draws, first, self._config.optim.steps)

    def _stage(self, draws: OwnDraws, first_step: int, end_step: int) -> Iterator[tuple[Batch, ...]]:
        optim = self._config.optim
        share = optim.batch_size * optim.accumulation
        loader = training_batches(
            draws,
            first_draw=first_step * share,
            n_draws=(end_step - first_step) * share,
            batch_size=optim.batch_size,
            n_workers=self._config.data.n_workers,
        )
        return _batched(_in_one_line(loader), optim.accumulation)


def _in_one_line(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches; the error of a loader's worker, which comes as its whole traceback, is its message again."""
    try:
        yield from batches
    except SampleError as error:
        raise SampleError(str(error).rsplit(f"{SampleError.__name__}: ", 1)[-1].strip()) from error


def _batched(batches: Iterable[Batch], n: int) -> Iterator[tuple[Batch, ...]]:
    """Return successive groups of `n` (itertools.batched needs Python 3.12)."""
    iterator = iter(batches)
    while group := tuple(itertools.islice(iterator, n)):
        yield group
