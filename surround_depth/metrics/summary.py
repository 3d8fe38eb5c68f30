"""Means over records, the way the field takes them: over units, per camera, then over cameras."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surround_depth.metrics.protocols import Empty
from surround_depth.metrics.records import Record


@dataclass(frozen=True)
class Means:
    """The means of one group on one camera, or over cameras."""

    values: Mapping[str, float]  # name -> mean; NaN where no unit had a value
    n_units: int  # units behind the means
    n_empty: int  # units without a scored pixel
    n_pixels: int  # over all units

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        values = {name: None if math.isnan(value) else value for name, value in self.values.items()}
        return {"values": values, "n_units": self.n_units, "n_empty": self.n_empty, "n_pixels": self.n_pixels}


@dataclass(frozen=True)
class GroupSummary:
    """One group: its mean over cameras, and each camera's own."""

    mean: Means
    cameras: Mapping[str, Means] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"mean": self.mean.as_dict(), "per_camera": {name: m.as_dict() for name, m in self.cameras.items()}}


def summarise(
    records: Iterable[Record], *, empty: Empty = "skip", batch_first: bool = False
) -> Mapping[str, GroupSummary]:
    """Return group -> means, groups and cameras in the order they first appear.

    Each unit counts once, however many pixels it has, and each camera once, however many units.

    Args:
        empty: what units over 0 pixels do (`Protocol.empty`). skip: left out and counted in `n_empty`; nan: every mean
            they enter is NaN; minus_one: they count as -1 in every value.
        batch_first: `Protocol.batch_first`: the mean over cameras is taken within each moment (`Record.sequence` and
            `index`), then over moments, so that a moment counts once however many cameras it has.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    return {group: _summarise_group(units, empty, batch_first) for group, units in groups.items()}


def _summarise_group(units: Sequence[Record], empty: Empty, batch_first: bool) -> GroupSummary:
    names = list(dict.fromkeys(name for unit in units for name in unit.values))
    cameras: dict[str, list[Record]] = {}
    moments: dict[tuple[str, int], list[Record]] = {}
    for unit in units:
        cameras.setdefault(unit.camera, []).append(unit)
        moments.setdefault((unit.sequence, unit.index), []).append(unit)
    per_camera = {camera: _means_over(own, names, empty) for camera, own in cameras.items()}
    outer = [_means_over(own, names, empty) for own in moments.values()] if batch_first else list(per_camera.values())
    return GroupSummary(_mean_of_means(outer, names, empty), per_camera)


def _means_over(units: Sequence[Record], names: Sequence[str], empty: Empty) -> Means:
    n_empty = sum(unit.n_pixels == 0 for unit in units)
    n_pixels = sum(unit.n_pixels for unit in units)
    counted = [unit for unit in units if unit.n_pixels > 0] if empty == "skip" else units
    rows = [{} if unit.n_pixels == 0 else unit.values for unit in counted]
    values = _column_means(rows, names, missing=-1.0 if empty == "minus_one" else math.nan, skip=empty == "skip")
    return Means(values, len(counted), n_empty, n_pixels)


def _mean_of_means(parts: Sequence[Means], names: Sequence[str], empty: Empty) -> Means:
    values = _column_means([part.values for part in parts if part.n_units], names, math.nan, skip=empty == "skip")
    return Means(
        values,
        sum(part.n_units for part in parts),
        sum(part.n_empty for part in parts),
        sum(part.n_pixels for part in parts),
    )


def _column_means(
    rows: Sequence[Mapping[str, float]], names: Sequence[str], missing: float, *, skip: bool
) -> dict[str, float]:
    means = {}
    for name in names:
        column = np.array([row.get(name, missing) for row in rows], np.float64)
        if skip:  # a value that a unit with pixels does not have, e.g. an edge distance without edges
            column = column[~np.isnan(column)]
        means[name] = float(column.mean()) if column.size else math.nan
    return means
