"""Means over units by a protocol's own rule: which comes first, cameras or images, and what an empty unit does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from surround_depth.metrics.protocols import Protocol
from surround_depth.metrics.records import Record


@dataclass(frozen=True)
class GroupMeans:
    """The means of one group of records. Values by name; NaN where no unit had any."""

    cameras: Mapping[str, Mapping[str, float]]  # by camera, in the order they were met
    mean: Mapping[str, float]  # over cameras
    n_units: int
    n_empty: int
    """Units without a scored pixel: left out, or in the mean as -1 or NaN, as the protocol says."""
    n_pixels: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        return {
            "mean": _plain(self.mean),
            "per_camera": {name: _plain(values) for name, values in self.cameras.items()},
            "n_units": self.n_units,
            "n_empty": self.n_empty,
            "n_pixels": self.n_pixels,
        }


def protocol_means(records: Iterable[Record], protocol: Protocol) -> dict[str, GroupMeans]:
    """Return group -> means, in the order in which the groups were met.

    Depth errors ("metric", "median", "shared") follow the protocol: its order of means, its policy for empty units;
    "overlap" and "consistency" its order. Every other group is ours: units first, then cameras. Empty units are left
    out where the protocol has no say.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    return {name: _group_means(name, members, protocol) for name, members in groups.items()}


ERROR_GROUPS = ("metric", "median", "shared")
POOLED_GROUPS = (*ERROR_GROUPS, "overlap", "overlap median", "consistency", "consistency+")
"""Taken over a protocol's batches, so their means are taken in its order."""


def _group_means(name: str, records: Sequence[Record], protocol: Protocol) -> GroupMeans:
    follows = name in ERROR_GROUPS
    counted = [r for r in records if r.n_pixels > 0 or (follows and _counts_empty(r, protocol))]
    rows = [(r, r.values if follows else _known(r.values)) for r in counted]
    cameras = {
        camera: _mean([values for r, values in rows if r.camera == camera])
        | _coverage([r for r in records if r.camera == camera])
        for camera in dict.fromkeys(r.camera for r in records)
    }
    if name in POOLED_GROUPS and protocol.batch_first:
        by_batch: dict[int, list[Mapping[str, float]]] = {}
        for record, values in rows:
            by_batch.setdefault(record.index, []).append(values)
        mean = _mean([_mean(values) for values in by_batch.values()])
    else:
        mean = _mean([values for camera, values in cameras.items() if any(r.camera == camera for r in counted)])
    n_empty = sum(r.n_pixels == 0 for r in records)
    return GroupMeans(
        cameras, mean | _camera_coverage(cameras), len(records), n_empty, sum(r.n_pixels for r in records)
    )


def _counts_empty(record: Record, protocol: Protocol) -> bool:
    """An empty unit is part of the mean: as NaN, or as the -1 that it carries."""
    return protocol.empty == "nan" or not math.isnan(record.values["abs_rel"])


def _known(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values that a unit has: a cloud may have points and no prediction near them."""
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def _coverage(records: Sequence[Record]) -> dict[str, float]:
    """Return the mean coverage of all units that have truth: silence must not drop out together with its errors."""
    shares = [r.values["coverage"] for r in records if not math.isnan(r.values.get("coverage", math.nan))]
    return {"coverage": float(np.mean(shares))} if shares else {}


def _camera_coverage(cameras: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean coverage over all cameras that have truth, also those that answered nothing at all."""
    shares = [values["coverage"] for values in cameras.values() if "coverage" in values]
    return {"coverage": float(np.mean(shares))} if shares else {}


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}
