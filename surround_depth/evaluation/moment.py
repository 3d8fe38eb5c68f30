"""One sample beside what was answered and what is true: what every measure is taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.ground_truth import CameraTruth
from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.evaluation.prediction import Prediction
from surround_depth.geometry import Array, invert_rigid
from surround_depth.imaging import windowed_camera
from surround_depth.metrics.measure import Measure
from surround_depth.metrics.protocols import Resampling
from surround_depth.metrics.records import Record
from surround_depth.metrics.resample import answers_at
from surround_depth.rig import Rig

Grids = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class ListedSample:
    """One line of the sample list: where it stands, and where its sample is read. A sample may be listed twice."""

    index: int  # place in the list
    sequence: SampleSequence
    position: int  # in the sequence
    follows: bool = False  # the sample before it in the sequence is in the list too: flicker may ask for it


@dataclass(frozen=True, eq=False)
class Moment:
    """One sample with what was answered and what is true. N cameras in rig order."""

    listed: ListedSample
    sample: Sample
    prediction: Prediction
    truths: tuple[CameraTruth, ...]
    resampling: Resampling

    @cached_property
    def answers_m(self) -> tuple[NDArray[np.float32], ...]:
        """N x [P] at the places of `truths`; NaN = no answer."""
        return self.read(self.prediction.depth_m, self.truths)

    def read(self, grids: Grids, truths: Sequence[CameraTruth]) -> tuple[NDArray[np.float32], ...]:
        """Return N x [P]: values of grids that lie like the prediction's, at the places of `truths`."""
        triples = zip(grids, self.prediction.windows, truths, strict=True)
        return tuple(
            answers_at(grid, window, truth.uv_px, "none" if truth.on_grid else self.resampling)
            for grid, window, truth in triples
        )

    @cached_property
    def T_ego_cam_then(self) -> Array:
        """Poses [N, 4, 4] of the cameras, each when it fired, in the ego frame at the LiDAR's time (else static)."""
        frame, cloud = self.sample.frame, self.sample.lidar
        if frame.T_world_ego is None or cloud is None or cloud.T_world_ego is None:
            return frame.rig.T_ego_cam
        return np.asarray(invert_rigid(cloud.T_world_ego) @ frame.T_world_ego @ frame.rig.T_ego_cam)

    @cached_property
    def grid_rig(self) -> Rig:
        """The cameras whose pixels are the prediction's grids."""
        pairs = zip(self.sample.frame.rig.cameras, self.prediction.windows, strict=True)
        return self.sample.frame.rig.with_cameras(tuple(windowed_camera(camera, window) for camera, window in pairs))

    @property
    def has_one_size(self) -> bool:
        """All grids have one size, so that they stack to [N, h, w]."""
        return len({grid.shape for grid in self.prediction.depth_m}) == 1

    def record(self, camera: str, group: str, measure: Measure) -> Record:
        """Return a record of this moment."""
        frame_id = self.sample.frame.frame_id
        return Record(
            self.listed.sequence.name, frame_id, self.listed.index, camera, group, measure.values, measure.n_pixels
        )
