"""Our synthetic trees: nuScenes format, plus exact dense depth (`dense_depth/`) and own-body masks (`own_body/`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from surround_depth.data import truth_sidecar
from surround_depth.data.damage import OnDamage
from surround_depth.data.mask_folder import MaskFolder
from surround_depth.data.nuscenes import NuScenesDataset, Rate
from surround_depth.data.nuscenes_sequence import NuScenesSequence
from surround_depth.data.paths import OWN_BODY_FOLDER, require_root
from surround_depth.data.sample import Box, Sample
from surround_depth.data.splits import Split
from surround_depth.data.stereo_partners import split_partners
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud


class SyntheticDataset:
    """A tree of `tools/make_synthetic.py`: samples carry dense truth, cameras their own-body masks.

    Arguments are those of `NuScenesDataset`; `masks` stand in for the exact ones that the tree brings.

    Raises:
        DataError: no such folder, no dense depth in it, or a damaged table.
    """

    name = "synthetic"
    licence = "synthetic: rendered by surround_depth, no rights reserved"

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
        own_masks = MaskFolder((require_root(root, "synthetic") / OWN_BODY_FOLDER).resolve(), may_lack=True)
        masks = own_masks if masks is None else masks
        self._tree = NuScenesDataset(root, version, cameras, masks, rate=rate, split=split, on_damage=on_damage)
        self.root, self.version, self.split = self._tree.root, self._tree.version, split
        self.damage = self._tree.damage
        if not (self.root / truth_sidecar.FOLDER).is_dir():
            raise DataError(f"{self.root} has no {truth_sidecar.FOLDER}/; open a tree without truth as nuscenes")

    @property
    def masks_sha256(self) -> str:
        """One hash over the tree's own-body masks; "" where it has none."""
        return self._tree.masks_sha256

    @property
    def tables_sha256(self) -> str:
        """One hash over the tree's tables."""
        return self._tree.tables_sha256

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes, sorted."""
        return self._tree.scenes()

    def sequence(self, scene: str) -> SyntheticSequence:
        """Return the samples of a scene in order of time, each with dense truth."""
        return SyntheticSequence(self._tree.sequence(scene))


@dataclass(frozen=True)
class SyntheticSequence:
    """The samples of one synthetic scene, of the rig's own cameras. Made by `SyntheticDataset.sequence`."""

    tree: NuScenesSequence

    @property
    def name(self) -> str:
        """Name of the scene."""
        return self.tree.name

    @property
    def conditions(self) -> tuple[str, ...]:
        """The lighting: the word before the movers in the description that `synthetic.drive` writes."""
        parts = self.tree.description.split(", ")
        return (parts[-2],) if len(parts) > 1 and parts[-1].endswith(" movers") else ()

    @property
    def split_items(self) -> tuple[str, ...]:
        """What a split calls each sample; see `NuScenesSequence.split_items`."""
        return self.tree.split_items

    def __len__(self) -> int:
        return len(self.tree)

    def __getitem__(self, index: int) -> Sample:
        sample = self.tree[index]
        return split_partners(replace(sample, truth=truth_sidecar.read_frame_truth(self.tree.root, sample.frame)))

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        """Return the sweeps around a sample; see `NuScenesSequence.sweeps`."""
        return self.tree.sweeps(index, before, after)

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return the boxes of a sample; see `NuScenesSequence.boxes`."""
        return self.tree.boxes(index)

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        """Return the boxes of the whole scene around two moments; see `NuScenesSequence.boxes_between`."""
        return self.tree.boxes_between(first_ns, last_ns)
