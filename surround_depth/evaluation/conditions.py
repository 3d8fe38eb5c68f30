"""Results split by what the data set says of a drive: night, rain, a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from surround_depth.data.sample import RecordedSequence, SampleSequence
from surround_depth.metrics.protocol_means import GroupMeans, protocol_means
from surround_depth.metrics.protocols import Protocol
from surround_depth.metrics.records import Record


def conditions_of(sequences: Iterable[SampleSequence]) -> dict[str, tuple[str, ...]]:
    """Return name of the drive -> the words for its conditions; none where its data set does not say."""
    return {s.name: tuple(s.conditions) if isinstance(s, RecordedSequence) else () for s in sequences}


def means_by_condition(
    records: Sequence[Record], conditions: Mapping[str, Sequence[str]], protocol: Protocol
) -> dict[str, dict[str, GroupMeans]]:
    """Return condition -> group -> means over the drives it holds for, words in alphabetical order."""
    words = sorted({word for found in conditions.values() for word in found})
    return {
        word: protocol_means((r for r in records if word in conditions.get(r.sequence, ())), protocol) for word in words
    }
