"""The nuScenes tables as arrays: what the reader looks things up in, and the file that keeps it.

Camera and LiDAR records stand in order of scene, channel and time, samples in order of scene and time, boxes in order
of sample, so a scene is one run of rows of each: opening it touches nothing else. One structured row a record, because
a record is read whole. Radar is not kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.array_file import read_arrays, write_arrays
from surround_depth.data.row_columns import NS_PER_US
from surround_depth.data.tokens import KEY, TokenBook
from surround_depth.errors import DataError
from surround_depth.geometry import Array, quaternion_to_R, rigid

FORMAT = 1  # of the file; another number is built anew

_POSE = [("translation_m", "<f8", 3), ("rotation_wxyz", "<f8", 4)]
SAMPLE = np.dtype([("token", KEY), ("stamp_us", "<i8"), ("scene", "<i4")])
CALIBRATION = np.dtype([("token", KEY), ("channel", "<i4"), *_POSE, ("K", "<f8", (3, 3))])  # K is NaN for a LiDAR
READING = np.dtype(
    [
        ("token", KEY),
        ("stamp_us", "<i8"),
        *_POSE,  # of the vehicle in the world, at this record's own time
        ("name_start", "<i8"),  # bytes of the file name in `names`
        ("name_length", "<i4"),
        ("sample", "<i4"),
        ("calibration", "<i4"),
        ("height_px", "<i4"),
        ("width_px", "<i4"),
        ("channel", "<i2"),
        ("is_key", "?"),
    ]
)
BOX = np.dtype(
    [("token", KEY), ("instance", KEY), ("sample", "<i4"), ("category", "<i4"), *_POSE, ("size_wlh_m", "<f8", 3)]
)
ARRAYS: dict[str, np.dtype[Any]] = {
    "samples": SAMPLE,
    "calibrations": CALIBRATION,
    "readings": READING,
    "boxes": BOX,
    "names": np.dtype(np.uint8),
    "sample_starts": np.dtype("<i8"),
    "reading_starts": np.dtype("<i8"),
    "box_starts": np.dtype("<i8"),
}

# What a broken row spoils: samples at 2 Hz, only the records between them, or only annotations.
FaultScope = Literal["key_frames", "sweeps", "boxes"]
KEPT_FAULTS = 1000


@dataclass
class Faults:
    """Rows that cannot be read, by what they spoil: how many, and the first thousand in words."""

    counts: Counter[str] = field(default_factory=Counter)
    texts: dict[str, list[str]] = field(default_factory=lambda: {scope: [] for scope in get_args(FaultScope)})

    def add(self, scope: FaultScope, text: str) -> None:
        """Count one row."""
        self.counts[scope] += 1
        if len(self.texts[scope]) < KEPT_FAULTS:
            self.texts[scope].append(text)

    def of(self, *scopes: FaultScope) -> tuple[str, ...]:
        """Return one line per broken row of these scopes; where there are too many, the last line counts the rest."""
        lines = [line for scope in scopes for line in self.texts[scope]]
        rest = sum(self.counts[scope] for scope in scopes) - len(lines)
        return (*lines, f"and {rest} more broken rows") if rest else tuple(lines)


@dataclass(frozen=True)
class Scene:
    """One row of scene.json."""

    name: str
    description: str


@dataclass(frozen=True)
class Channel:
    """A camera or LiDAR: its name and "camera" or "lidar"."""

    name: str
    modality: str


@dataclass(frozen=True, eq=False)
class NuScenesIndex:
    """The joined tables of one version folder. Rows `starts[i]` to `starts[i + 1]` belong to scene or sample i."""

    scenes: tuple[Scene, ...]  # by name
    channels: tuple[Channel, ...]  # in order of sensor.json
    categories: tuple[str, ...]
    book: TokenBook
    faults: Faults
    samples: NDArray[Any]  # SAMPLE, by scene and time
    calibrations: NDArray[Any]  # CALIBRATION
    readings: NDArray[Any]  # READING, by scene, channel and time
    boxes: NDArray[Any]  # BOX, by sample
    names: NDArray[np.uint8]  # file names, one after the other
    sample_starts: NDArray[np.int64]  # [scenes + 1] in `samples`
    reading_starts: NDArray[np.int64]  # [scenes + 1] in `readings`
    box_starts: NDArray[np.int64]  # [samples + 1] in `boxes`
    source: Path | None = None  # the file it is mapped from

    def __reduce__(self) -> Any:
        """Travel to another process of this machine as the name of the file, not as a copy of its arrays."""
        return super().__reduce__() if self.source is None else (NuScenesIndex.load, (self.source,))

    @cached_property
    def scene_numbers(self) -> dict[str, int]:
        """Numbers of the scenes that have samples, by name, sorted."""
        counts = np.diff(self.sample_starts)
        return {scene.name: number for number, scene in enumerate(self.scenes) if counts[number]}

    def channels_of(self, modality: str) -> tuple[str, ...]:
        """Names of the channels of a modality, "camera" or "lidar"."""
        return tuple(channel.name for channel in self.channels if channel.modality == modality)

    def save(self, path: Path) -> None:
        """Write the index to a file.

        Raises:
            DataError: the folder cannot be written.
        """
        header = {
            "format": FORMAT,
            "scenes": [[scene.name, scene.description] for scene in self.scenes],
            "channels": [[channel.name, channel.modality] for channel in self.channels],
            "categories": self.categories,
            "odd_tokens": self.book.odd_tokens(),
            "fault_counts": dict(self.faults.counts),
            "fault_texts": self.faults.texts,
        }
        write_arrays(path, header, {name: getattr(self, name) for name in ARRAYS})

    @classmethod
    def load(cls, path: Path, *, checked: bool = False) -> NuScenesIndex:
        """Return the index of a file that `save` wrote, mapped.

        Args:
            checked: the arrays were compared with their checksums before, and the file is the same since.

        Raises:
            DataError: no such file, damaged, or of another format.
        """
        header, arrays = read_arrays(path, ARRAYS, checked=checked)
        try:
            if header["format"] != FORMAT:
                raise ValueError(f"it is of format {header['format']}, not {FORMAT}")
            return cls(
                scenes=tuple(Scene(*row) for row in header["scenes"]),
                channels=tuple(Channel(*row) for row in header["channels"]),
                categories=tuple(header["categories"]),
                book=TokenBook(header["odd_tokens"]),
                faults=Faults(Counter(header["fault_counts"]), header["fault_texts"]),
                source=path,
                **arrays,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path} is no index of this version ({error}); remove it: it is made again") from error


@dataclass(frozen=True, eq=False)
class Reading:
    """One record of a camera or LiDAR."""

    index: NuScenesIndex
    row: int  # of `index.readings`

    @property
    def label(self) -> str:
        """What errors call it."""
        return f"sample_data.json row {self.token}"

    @property
    def token(self) -> str:
        """Of the row of sample_data.json."""
        return self.index.book.text(self._values["token"])

    @property
    def sample_token(self) -> str:
        """Of the sample it belongs to; a record between key frames belongs to the nearest."""
        return self.index.book.text(self.index.samples[self._values["sample"]]["token"])

    @property
    def filename(self) -> str:
        """Path relative to the data root, as the table holds it: not yet proved harmless."""
        start = int(self._values["name_start"])
        return self.index.names[start : start + int(self._values["name_length"])].tobytes().decode()

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of an image."""
        return int(self._values["height_px"]), int(self._values["width_px"])

    @property
    def stamp_ns(self) -> int:
        """Capture time; the tables hold microseconds."""
        return int(self._values["stamp_us"]) * NS_PER_US

    @property
    def T_world_ego(self) -> Array:
        """Ego pose [4, 4] at this record's own time."""
        return pose_of(self._values)

    @property
    def channel(self) -> int:
        """Number in `index.channels`."""
        return int(self._values["channel"])

    @property
    def calibration(self) -> int:
        """Row of `index.calibrations`."""
        return int(self._values["calibration"])

    @property
    def calibration_label(self) -> str:
        """What errors call the row of its calibration."""
        return f"calibrated_sensor.json row {self.index.book.text(self._mounting['token'])}"

    @property
    def T_ego_sensor(self) -> Array:
        """Mounting [4, 4] of the sensor."""
        return pose_of(self._mounting)

    @property
    def K(self) -> Array:
        """Intrinsics [3, 3] of a camera; NaN of a LiDAR."""
        return np.array(self._mounting["K"], np.float64)

    @property
    def _values(self) -> Any:
        return self.index.readings[self.row]

    @property
    def _mounting(self) -> Any:
        return self.index.calibrations[self.calibration]


def pose_of(values: Any) -> Array:
    """Return the transform [4, 4] of a structured row; its numbers were checked when the index was built."""
    return rigid(quaternion_to_R(values["rotation_wxyz"]), values["translation_m"])
