"""Which samples are scored, and the hashes that say so in every result."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from surround_depth.data.sample import DriveDataset
from surround_depth.data.splits import Split
from surround_depth.evaluation.moment import ListedSample


def in_list_order(samples: Sequence[ListedSample], split: Split | None) -> list[ListedSample]:
    """Return the samples in the order of a split that lists them one by one, numbered anew.

    Drives lie together in a data set but not in every list, and a protocol that pools four samples pools neighbours of
    the list. Items that were not asked for (another drive, a stride) are passed over; a list of scenes changes nothing.
    """
    if split is None or split.kind == "scenes":
        return list(samples)
    waiting: dict[str, deque[ListedSample]] = {}
    for sample in samples:
        item = sample.sequence.split_items[sample.position]  # type: ignore[attr-defined]  # every sequence of a split
        waiting.setdefault(item, deque()).append(sample)
    ordered = [waiting[item].popleft() for item in split.items if waiting.get(item)]
    listed = {(sample.sequence.name, sample.position) for sample in ordered}
    return [
        replace(sample, index=index, follows=(sample.sequence.name, sample.position - 1) in listed)
        for index, sample in enumerate(ordered)
    ]


def describe_samples(
    samples: Sequence[ListedSample], dataset: DriveDataset, split: str | None, stride: int
) -> dict[str, Any]:
    """Return the facts of a sample list that a result carries.

    Args:
        split: what the drives were chosen by: a list, whose hash the data set knows, or a DDAD scene list's own name.
    """
    drives = list(dict.fromkeys(sample.sequence.name for sample in samples))
    found = getattr(dataset, "split", None)
    listed = {"split": found.name, "split_sha256": found.sha256} if isinstance(found, Split) else {"split": split or ""}
    return {
        "n": len(samples),
        "n_sequences": len(drives),
        "sha256": sample_list_sha256(samples, listed.get("split_sha256", "")),
        "stride": stride,
        **listed,
        "scenes": " ".join(drives) if len(drives) <= 20 else f"{drives[0]} to {drives[-1]}",
    }


def sample_list_sha256(samples: Sequence[ListedSample], split_sha256: str) -> str:
    """Return the hash of the split's hash and of a line "drive position" for every sample, duplicates kept."""
    lines = (f"{sample.sequence.name} {sample.position}\n" for sample in samples)
    return hashlib.sha256((f"{split_sha256}\n" + "".join(lines)).encode()).hexdigest()
