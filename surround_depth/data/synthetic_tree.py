"""Our synthetic trees: nuScenes format, plus exact dense depth (`dense_depth/`) and own-body masks (`own_body/`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surround_depth.data import truth_sidecar
from surround_depth.data.nuscenes import NuScenesDataset, NuScenesSequence
from surround_depth.data.paths import OWN_BODY_FOLDER
from surround_depth.data.sample import DenseTruth, Sample
from surround_depth.errors import DataError
from surround_depth.frame import EncodedImage, SurroundFrame


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
        return replace(sample, truth=_read_truth(self.tree.root, sample.frame))


def _read_truth(root: Path, frame: SurroundFrame) -> DenseTruth:
    """Return the truth of every camera; all NaN and no sky where a camera has no image."""
    depth_m, sky = [], []
    for camera, image in zip(frame.rig.cameras, frame.images, strict=True):
        size = (camera.height_px, camera.width_px)
        if isinstance(image, EncodedImage):
            truth_m = truth_sidecar.read_dense_truth(root, Path(image.source).relative_to(root).as_posix())
            if truth_m.shape != size:
                raise DataError(f"dense depth of {image.source} is {truth_m.shape}, the image {size}; render it again")
            depth_m.append(truth_m)
            # Rendered surfaces are all finite: what the ray did not meet is sky.
            sky.append(np.isnan(truth_m))
        else:
            depth_m.append(np.full(size, np.nan, np.float32))
            sky.append(np.zeros(size, np.bool_))
    return DenseTruth(tuple(depth_m), tuple(sky))
