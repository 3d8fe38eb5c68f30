"""What a run is validated on: per data set some held-out samples, and the mean of its training drives beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.sample import SampleSequence
from surround_depth.training.drives import Drives
from surround_depth.training.samples import SamplePreparer, SampleStore

N_BASELINE_SAMPLES = 100

PerPixelMean = Callable[[Iterable[NDArray[np.float32]]], NDArray[np.float32]]


@dataclass(frozen=True)
class ValidationSet:
    """The samples of one data set that a run is validated on."""

    name: str
    """Of the set in the configuration, e.g. "data.joint.0"."""
    store: SampleStore
    indices: tuple[int, ...]
    """In `store`."""
    baseline_m: NDArray[np.float32] | None
    """Depth [N, H, W] that ignores the picture, of this set's cameras: those of another rig look elsewhere. None where
    no training drive has truth."""


def validation_sets(
    drives: Drives, preparer: SamplePreparer, per_pixel_mean: PerPixelMean, n_samples: int, *, cache: bool
) -> tuple[ValidationSet, ...]:
    """Return what every set of `drives` is validated on.

    Args:
        per_pixel_mean: the baseline that never looks at the picture (`evaluation.baseline.per_pixel_mean_m`).
        n_samples: at most this many in all, spread evenly; at least one of each set.
        cache: keep the prepared samples in memory.

    Raises:
        DataError: as `per_pixel_mean`.
    """
    found, n_sets = [], len(drives.sets)
    for place, one in enumerate(drives.sets):
        store = SampleStore(one.val, preparer, cache=cache)
        n = max(1, n_samples // n_sets + (place < n_samples % n_sets))
        baseline_m = _baseline_m(one.train, preparer, N_BASELINE_SAMPLES // n_sets, per_pixel_mean)
        found.append(ValidationSet(one.key, store, tuple(store.evenly(n)), baseline_m))
    return tuple(found)


def _baseline_m(
    sequences: Sequence[SampleSequence], preparer: SamplePreparer, n: int, per_pixel_mean: PerPixelMean
) -> NDArray[np.float32] | None:
    """Return the mean over `n` samples that have truth and as many cameras as the first of them."""
    store = SampleStore(sequences, preparer, cache=False)
    best_m = (truth_m for index in store.evenly(n) for truth_m in islice(store.truths_m(index).values(), 1))
    first_m = next(best_m, None)
    if first_m is None:
        return None
    n_cameras = len(first_m)
    return per_pixel_mean(chain((first_m,), (truth_m for truth_m in best_m if len(truth_m) == n_cameras)))
