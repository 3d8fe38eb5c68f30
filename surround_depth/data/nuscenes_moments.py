"""Which records make one sample: those of a key frame, or those nearest in time to an image of the reference camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.nuscenes_index import NuScenesIndex, Reading, Scene
from surround_depth.errors import DataError

REFERENCE_CAMERA = "CAM_FRONT"
MAX_LIDAR_SKEW_US = 60_000  # the LiDAR turns at 20 Hz: where none is nearer, one is missing
_NOMINAL_PERIOD_US = 1_000_000 // 12  # of a camera of which a scene has one image only


@dataclass(frozen=True, eq=False)
class SceneReadings:
    """The records of one scene: per channel a run of rows of the index, in order of time."""

    index: NuScenesIndex
    number: int  # of the scene

    @property
    def scene(self) -> Scene:
        """Name and description."""
        return self.index.scenes[self.number]

    @cached_property
    def rows(self) -> range:
        """Rows of `index.readings`."""
        start, stop = self.index.reading_starts[self.number : self.number + 2].tolist()
        return range(start, stop)

    @cached_property
    def samples(self) -> range:
        """Rows of `index.samples`."""
        start, stop = self.index.sample_starts[self.number : self.number + 2].tolist()
        return range(start, stop)

    @cached_property
    def values(self) -> NDArray[Any]:
        """The rows themselves."""
        values: NDArray[Any] = self.index.readings[self.rows.start : self.rows.stop]
        return values

    def of_channel(self, name: str) -> NDArray[np.int64]:
        """Return the rows of `index.readings` of a channel in order of time; none where there is no such channel."""
        names = [channel.name for channel in self.index.channels]
        if name not in names:
            return np.empty(0, np.int64)
        start, stop = np.searchsorted(self.values["channel"], [names.index(name), names.index(name) + 1])
        return np.arange(self.rows.start + start, self.rows.start + stop)

    def stamps_us(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the capture times of rows of this scene."""
        stamps: NDArray[np.int64] = self.values["stamp_us"][rows - self.rows.start]
        return stamps

    def first(self, name: str, *, key_frames_only: bool) -> Reading | None:
        """Return the first record of a channel."""
        rows = self.of_channel(name)
        if key_frames_only:
            rows = rows[self.values["is_key"][rows - self.rows.start]]
        return Reading(self.index, int(rows[0])) if len(rows) else None


@dataclass(frozen=True, eq=False)
class Moments:
    """The samples of a sequence: per moment its token, and per channel the row of its record, -1 for none."""

    tokens: tuple[str, ...]
    samples: NDArray[np.int64]  # [M] row of `index.samples` whose boxes belong to the moment, -1 between key frames
    rows: dict[str, NDArray[np.int64]]  # by channel [M] rows of `index.readings`

    def __len__(self) -> int:
        return len(self.tokens)

    def of_samples(self, samples: Sequence[int]) -> Moments:
        """Return the moments that are key frames of these samples, in their order, repetitions kept.

        Raises:
            DataError: at 12 Hz, a sample has no image of the reference camera and so no moment.
        """
        place_of = {sample: place for place, sample in enumerate(self.samples.tolist()) if sample >= 0}
        lost = [sample for sample in samples if sample not in place_of]
        if lost:
            raise DataError(
                f"{len(lost)} listed samples have no image of the reference camera, which sets the moments at 12 Hz; "
                "read them at the rate of key frames"
            )
        kept = np.array([place_of[sample] for sample in samples], np.int64)
        return replace(
            self,
            tokens=tuple(self.tokens[i] for i in kept),
            samples=self.samples[kept],
            rows={name: rows[kept] for name, rows in self.rows.items()},
        )


def key_frame_moments(readings: SceneReadings) -> Moments:
    """Return the key frames of a scene: one moment per row of sample.json."""
    index, samples = readings.index, readings.samples
    rows = {}
    for channel in index.channels:
        of_sample = np.full(len(samples), -1, np.int64)
        own = readings.of_channel(channel.name)
        own = own[readings.values["is_key"][own - readings.rows.start]]
        of_sample[readings.values["sample"][own - readings.rows.start] - samples.start] = own
        rows[channel.name] = of_sample
    table = index.samples[samples.start : samples.stop]
    return Moments(
        tokens=tuple(index.book.text(key) for key in table["token"]),
        samples=np.arange(samples.start, samples.stop),
        rows=rows,
    )


def sweep_moments(readings: SceneReadings, cameras: tuple[str, ...]) -> Moments:
    """Return one moment per record of the reference camera, key frame or not.

    A key frame is the moment of `key_frame_moments`: its records, its token. Between them a moment has the reference
    record's own token, of each other camera the record nearest in time, within half the reference camera's period, and
    of each LiDAR the nearest within `MAX_LIDAR_SKEW_US`.
    """
    index, key_frames = readings.index, key_frame_moments(readings)
    reference = readings.of_channel(REFERENCE_CAMERA if REFERENCE_CAMERA in cameras else cameras[0])
    stamps_us = readings.stamps_us(reference)
    period_us = float(np.median(np.diff(stamps_us))) if len(stamps_us) > 1 else _NOMINAL_PERIOD_US
    values = readings.values[reference - readings.rows.start]
    is_key = values["is_key"]
    of_sample = values["sample"][is_key] - readings.samples.start
    rows = {}
    for channel in index.channels:
        limit_us = MAX_LIDAR_SKEW_US if channel.modality == "lidar" else period_us / 2
        own = readings.of_channel(channel.name)
        rows[channel.name] = nearest_rows(own, readings.stamps_us(own), stamps_us, limit_us)
        rows[channel.name][is_key] = key_frames.rows[channel.name][of_sample]
    own_token = np.where(is_key, index.samples["token"][values["sample"]], values["token"])
    return Moments(
        tokens=tuple(index.book.text(key) for key in own_token),
        samples=np.where(values["is_key"], values["sample"], -1).astype(np.int64),
        rows=rows,
    )


def nearest_rows(
    rows: NDArray[np.int64], stamps_us: NDArray[np.int64], wanted_us: NDArray[np.int64], limit_us: float
) -> NDArray[np.int64]:
    """Return per wanted time the row whose stamp (in order of time) is nearest, the earlier of two; -1 beyond limit."""
    if not len(rows):
        return np.full(len(wanted_us), -1, np.int64)
    after = np.clip(np.searchsorted(stamps_us, wanted_us), 0, len(rows) - 1)
    before = np.maximum(after - 1, 0)
    is_before = np.abs(stamps_us[before] - wanted_us) <= np.abs(stamps_us[after] - wanted_us)
    nearest = np.where(is_before, before, after)
    return np.where(np.abs(stamps_us[nearest] - wanted_us) <= limit_us, rows[nearest], -1)
