"""nuScenes as samples, key frames (2 Hz) or every image (12 Hz): each camera with its own stamp and ego pose.

Own reader of the JSON tables, through an index that is parsed once and then mapped: the official devkit needs tables,
links and a numpy that a vehicle has not got; it is the witness in tests.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from surround_depth.data.damage import OnDamage, require_policy
from surround_depth.data.mask_folder import MaskFolder, masks_sha256
from surround_depth.data.nuscenes_cache import open_index
from surround_depth.data.nuscenes_index import FaultScope
from surround_depth.data.nuscenes_moments import SceneReadings, key_frame_moments, sweep_moments
from surround_depth.data.nuscenes_sequence import NuScenesSequence
from surround_depth.data.nuscenes_split import KeptSamples, match_split
from surround_depth.data.nuscenes_tables import find_version, table_files
from surround_depth.data.paths import require_root
from surround_depth.data.splits import Split
from surround_depth.data.tables_hash import tables_sha256
from surround_depth.errors import ConfigError, DataError

Rate = Literal["keyframes", "sweeps"]
RATES: tuple[str, ...] = get_args(Rate)


class NuScenesDataset:
    """One version of a nuScenes tree.

    Args:
        root: folder that holds `samples/` and the version folder(s).
        version: folder of the tables, e.g. "v1.0-mini"; not needed where there is only one.
        cameras: channels to read, in this order; by default every camera of a scene, in ring order.
        masks: own-body masks `CHANNEL.png` (255 = keep, 0 = own vehicle), attached to the rig.
        rate: "keyframes" for the annotated samples, 2 Hz; "sweeps" for one sample per image of the reference camera
            (CAM_FRONT, else the first), 12 Hz, with what the other sensors recorded nearest to it; the annotated
            samples are among them, each the same as at 2 Hz.
        split: scenes or sample tokens to keep (see `splits.read_split`); of a scene with tokens its sequence has those
            samples in the order of the list, repetitions kept.
        on_damage: "raise" refuses tables with a broken row; "skip" leaves such rows out and lists them in `damage`.

    Raises:
        ConfigError: no such rate or policy.
        DataError: no such folder or version, a damaged table, a row that refers to nothing, or a split that names what
            the tables do not have.
    """

    name = "nuscenes"
    licence = "nuScenes: CC BY-NC-SA 4.0 and the nuScenes terms of use (non-commercial; do not redistribute)"

    def __init__(
        self,
        root: str | Path,
        version: str | None = None,
        cameras: tuple[str, ...] | None = None,
        masks: MaskFolder | None = None,
        *,
        rate: Rate = "keyframes",
        split: Split | None = None,
        on_damage: OnDamage = "raise",
    ) -> None:
        require_policy(on_damage)
        if rate not in RATES:
            raise ConfigError(f"rate {rate!r} is not one of {', '.join(RATES)}")
        self.root = require_root(root, "nuScenes")
        self.version = find_version(self.root, version)
        self.rate: Rate = rate
        self.split = split
        self._index = open_index(table_files(self.root, self.version))
        self._cameras, self._masks, self._on_damage = cameras, masks, on_damage
        self._kept: KeptSamples | None = None
        missing: list[str] = []
        refusal = self._refusal("key_frames") or (self._refusal("sweeps") if rate == "sweeps" else None)
        if refusal is not None:
            raise DataError(refusal)
        if split is not None:
            self._kept, missing = match_split(split, self._index, str(self.root / self.version), on_damage)
        # one line per row or item that was left out; empty with on_damage="raise", which refuses the first
        skipped = () if on_damage == "raise" else self._index.faults.of(*get_args(FaultScope))
        self.damage: tuple[str, ...] = (*skipped, *missing)

    @cached_property
    def masks_sha256(self) -> str:
        """One hash over the own-body masks of the cameras; "" without masks."""
        if self._masks is None:
            return ""
        paths = (self._masks.path_of(name) for name in self._cameras or self._index.channels_of("camera"))
        return masks_sha256(self._masks.folder, [path for path in paths if path.is_file()])

    @cached_property
    def tables_sha256(self) -> str:
        """One hash over the tables that are read; about a second per gigabyte."""
        return tables_sha256(table_files(self.root, self.version))

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes that have samples (in the split, where one was given), sorted."""
        return tuple(name for name in self._index.scene_numbers if self._kept is None or name in self._kept)

    def sequence(self, scene: str) -> NuScenesSequence:
        """Return the samples of a scene in order of time, or of the list where a split names samples.

        Raises:
            DataError: no such scene, it lacks a camera or a listed sample, or a camera lacks its own-body mask.
        """
        if scene not in self.scenes():
            raise DataError(f"{self.root / self.version} has no scene {scene!r}; it has {_some(self.scenes())}")
        readings = SceneReadings(self._index, self._index.scene_numbers[scene])
        cameras = self._cameras or self._index.channels_of("camera")
        first = {name: readings.first(name, key_frames_only=self.rate == "keyframes") for name in cameras}
        unknown = [name for name in self._cameras or () if first[name] is None]
        if unknown:
            raise DataError(f"scene {scene} has no image of {', '.join(unknown)}; its cameras are {_some(cameras)}")
        present = {name: reading for name, reading in first.items() if reading is not None}
        if not present:
            raise DataError(f"scene {scene} has no camera image in {self.version}/sample_data.json")
        moments = key_frame_moments(readings) if self.rate == "keyframes" else sweep_moments(readings, tuple(present))
        kept_samples = None if self._kept is None else self._kept[scene]
        if kept_samples is not None:
            moments = moments.of_samples(kept_samples)
        return NuScenesSequence(
            readings=readings,
            root=self.root,
            moments=moments,
            cameras=present,
            masks=self._masks,
            reorder=self._cameras is None,
            sweep_fault=self._refusal("sweeps"),
            box_fault=self._refusal("boxes"),
        )

    def _refusal(self, scope: FaultScope) -> str | None:
        """Return the first fault of a scope, where the caller does not want it passed over."""
        faults = self._index.faults.of(scope)
        return faults[0] if faults and self._on_damage == "raise" else None


def _some(names: tuple[str, ...], limit: int = 12) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more if names else "none"
