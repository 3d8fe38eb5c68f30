"""Our synthetic trees: nuScenes format, plus exact dense depth (`dense_depth/`) and own-body masks (`own_body/`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from surround_depth.data import truth_sidecar
from surround_depth.data.nuscenes import NuScenesDataset, NuScenesSequence
from surround_depth.data.paths import OWN_BODY_FOLDER
from surround_depth.data.sample import Sample
from surround_depth.errors import DataError


class SyntheticDataset:
    """A tree of `tools/make_synthetic.py`: samples carry dense truth, cameras their own-body masks.

    Raises:
        DataError: no such folder, no dense depth in it, or a damaged table.
    """

    name = "synthetic"
    licence = "synthetic: rendered by surround_depth, no rights reserved"

    def __init__(self, root: str | Path, version: str | None = None, cameras: tuple[str, ...] | None = None) -> None:
        self._tree = NuScenesDataset(root, version, cameras, own_body_dir=Path(root) / OWN_BODY_FOLDER)
        self.root = self._tree.root
        if not (self.root / truth_sidecar.FOLDER).is_dir():
            raise DataError(f"{self.root} has no {truth_sidecar.FOLDER}/; open a tree without truth as nuscenes")

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes, sorted."""
        return self._tree.scenes()

    def sequence(self, scene: str) -> SyntheticSequence:
        """Return the samples of a scene in order of time, each with dense truth."""
        return SyntheticSequence(self._tree.sequence(scene))


@dataclass(frozen=True)
class SyntheticSequence:
    """The samples of one synthetic scene. Made by `SyntheticDataset.sequence`."""

    tree: NuScenesSequence

    @property
    def name(self) -> str:
        """Name of the scene."""
        return self.tree.name

    def __len__(self) -> int:
        return len(self.tree)

    def __getitem__(self, index: int) -> Sample:
        sample = self.tree[index]
        return replace(sample, truth=truth_sidecar.read_frame_truth(self.tree.root, sample.frame))
