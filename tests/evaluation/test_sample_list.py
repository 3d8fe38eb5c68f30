"""The order and the hashes of what is scored."""

from __future__ import annotations

from dataclasses import dataclass, field

from surround_depth.data.splits import Split
from surround_depth.evaluation.protocol_run import batches, listed_samples
from surround_depth.evaluation.sample_list import in_list_order, sample_list_sha256
from surround_depth.metrics.protocols import protocol


@dataclass
class Drive:
    """Names only: nothing is read."""

    name: str
    split_items: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.split_items)


DRIVES = [Drive("A", ("A 1", "A 2", "A 2")), Drive("B", ("B 1", "B 2"))]
INTERLEAVED = Split("val", "frames", ("B 2", "A 2", "A 1", "A 2", "B 1", "C 7"), "0" * 64)


def order(samples: list) -> list[tuple[int, str, int]]:  # type: ignore[type-arg]
    return [(sample.index, sample.sequence.name, sample.position) for sample in samples]


def test_a_list_of_samples_says_the_order_and_keeps_repetitions() -> None:
    samples = in_list_order(listed_samples(DRIVES), INTERLEAVED)  # type: ignore[arg-type]
    assert order(samples) == [(0, "B", 1), (1, "A", 1), (2, "A", 0), (3, "A", 2), (4, "B", 0)]
    # VFDepth pools the first four of the list, not of the drives, and drops the rest
    (batch,) = batches(samples, protocol("vf"))
    assert [sample.sequence.name for sample in batch] == ["B", "A", "A", "A"]


def test_what_was_not_asked_for_is_passed_over() -> None:
    samples = in_list_order(listed_samples(DRIVES[1:]), INTERLEAVED)  # type: ignore[arg-type]
    assert order(samples) == [(0, "B", 1), (1, "B", 0)]


def test_a_list_of_scenes_or_none_changes_nothing() -> None:
    samples = listed_samples(DRIVES)  # type: ignore[arg-type]
    scenes = Split("val", "scenes", ("B", "A"), "0" * 64)
    assert in_list_order(samples, scenes) == in_list_order(samples, None) == samples


def test_another_order_is_another_hash() -> None:
    samples = listed_samples(DRIVES)  # type: ignore[arg-type]
    hashes = {
        sample_list_sha256(samples, ""),
        sample_list_sha256(in_list_order(samples, INTERLEAVED), ""),
        sample_list_sha256(samples, "0" * 64),
    }
    assert len(hashes) == 3
