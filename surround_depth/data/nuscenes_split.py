"""A split held against the tables of a nuScenes version: which scenes, and which samples of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surround_depth.data.damage import OnDamage
from surround_depth.data.nuscenes_index import NuScenesIndex
from surround_depth.data.splits import Split
from surround_depth.data.tokens import KeyLookup
from surround_depth.errors import DataError

_NAMED = 3

# By scene: rows of `index.samples` in the order of the list, repetitions kept; None for all of them, in order of time.
KeptSamples = dict[str, tuple[int, ...] | None]


def match_split(split: Split, index: NuScenesIndex, where: str, on_damage: OnDamage) -> tuple[KeptSamples, list[str]]:
    """Return what a split keeps, and a line on what the tables do not have of it.

    Raises:
        DataError: with "raise", something is missing: a mean over the rest would not be the split's. Or the split is
            of another data set, or nothing of it is there.
    """
    if split.kind == "frames":
        raise DataError(f"split {split.name} lists 'SCENE TIMESTAMP'; nuScenes needs scene names or sample tokens")
    kept, missing = (_scenes if split.kind == "scenes" else _samples)(split, index)
    share = f"{len(missing)} of its {len(split.items)} {split.kind}"
    text = f"split {split.name}: {share} are not in {where} ({_few(missing)})"
    if missing and (on_damage == "raise" or not kept):
        raise DataError(f"{text}; give the version folder that the split was made for")
    return kept, [text] if missing else []


def _scenes(split: Split, index: NuScenesIndex) -> tuple[KeptSamples, list[str]]:
    known = index.scene_numbers
    return (
        {name: None for name in split.items if name in known},
        [name for name in split.items if name not in known],
    )


def _samples(split: Split, index: NuScenesIndex) -> tuple[KeptSamples, list[str]]:
    keys = index.book.keys(list(split.items))
    if keys is None:  # read_split gives no empty item
        raise DataError(f"split {split.name} holds an item that is no token")
    rows = KeyLookup.of(np.ascontiguousarray(index.samples["token"])).find(keys)
    kept: dict[str, list[int]] = {}
    for row in rows[rows >= 0].tolist():
        kept.setdefault(index.scenes[index.samples["scene"][row]].name, []).append(row)
    missing = [split.items[i] for i in np.flatnonzero(rows < 0)]
    return {name: tuple(samples) for name, samples in kept.items()}, missing


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
