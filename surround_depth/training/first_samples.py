"""Drives cut short: a dry run opens few of them, and a student that is to learn N samples by heart sees just those."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from surround_depth.data.sample import Box, RecordedSequence, Sample, SampleSequence
from surround_depth.errors import ConfigError
from surround_depth.frame import PointCloud


def first_samples(sequences: Iterable[SampleSequence], n: int | None) -> tuple[SampleSequence, ...]:
    """Return the drives that hold the first `n` samples, the last of them cut; None keeps all.

    `sequences` is read only as far as it is needed: opening a drive costs something.

    Raises:
        ConfigError: a drive that must be cut has no sweeps and boxes to go with its samples.
    """
    if n is None:
        return tuple(sequences)
    kept: list[SampleSequence] = []
    for sequence in sequences:
        kept.append(sequence if len(sequence) <= n else _cut(sequence, n))
        n -= len(kept[-1])
        if n == 0:
            break
    return tuple(kept)


def _cut(sequence: SampleSequence, n: int) -> CutDrive:
    if not isinstance(sequence, RecordedSequence):
        raise ConfigError(f"data.limit_samples: drive {sequence.name} cannot be cut; leave the key out")
    return CutDrive(sequence, n)


@dataclass(frozen=True)
class CutDrive:
    """The first samples of a drive; sweeps and boxes around them are the whole drive's."""

    whole: RecordedSequence
    n_samples: int

    @property
    def name(self) -> str:
        """As the whole drive's."""
        return self.whole.name

    @property
    def conditions(self) -> tuple[str, ...]:
        """As the whole drive's."""
        return self.whole.conditions

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.n_samples:
            raise IndexError(f"drive {self.name} is cut to {self.n_samples} samples; there is no {index}")
        return self.whole[index]

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        """Return the sweeps around a sample, of the whole drive."""
        return self.whole.sweeps(index, before, after)

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return the boxes of a sample."""
        return self.whole.boxes(index)

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        """Return the boxes of the whole drive between two moments and just beyond."""
        return self.whole.boxes_between(first_ns, last_ns)
