"""One moment as the network wants it, and the same moment as the mirrored vehicle would have recorded it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.imaging import mirrored_mount
from surround_depth.training.context import PreparedContext, mirror_context, pad_context


@dataclass(frozen=True)
class PreparedPatches:
    """The numpy twin of `losses.case.Patches`, of one sample; P pieces of each picture."""

    inverse_depth: NDArray[np.float16]  # r [N, P, h, w], 0 (farthest) to 1 per piece
    valid: NDArray[np.bool_]  # [N, P, h, w]
    windows: NDArray[np.int64]  # [P, 4]: top, left, height, width in network pixels

    def mirrored(self, width_px: int) -> PreparedPatches:
        """Return the pieces of the mirrored pictures, in the same places: the windows lie symmetrically."""
        left = width_px - self.windows[:, 1] - self.windows[:, 3]
        flipped = np.column_stack((self.windows[:, 0], left, self.windows[:, 2:]))
        order = [int(np.flatnonzero((flipped == window).all(axis=1))[0]) for window in self.windows]
        return replace(self, inverse_depth=self.inverse_depth[:, order, :, ::-1], valid=self.valid[:, order, :, ::-1])

    def padded(self, n_dead: int) -> PreparedPatches:
        """Return the pieces with those of `n_dead` dead cameras behind them, valid nowhere."""
        behind = ((0, n_dead), (0, 0), (0, 0), (0, 0))
        return replace(self, inverse_depth=np.pad(self.inverse_depth, behind), valid=np.pad(self.valid, behind))


@dataclass(frozen=True)
class PreparedSample:
    """One moment at network resolution. Arrays are [N, ...] in rig order."""

    sample_id: str
    images: NDArray[np.uint8]  # [N, H, W, 3]
    rays: NDArray[np.float32]  # [N, H/8, W/8, 3]
    T_ego_cam: NDArray[np.float32]  # [N, 4, 4]
    camera_valid: NDArray[np.bool_]  # [N]
    neighbours: NDArray[np.int64]  # [N, 2], cameras whose view overlaps, ascending; -1 = none
    own_body: NDArray[np.bool_]  # [N, H, W]
    lidar_index: NDArray[np.int32]  # [P] into the flat [N, H, W]: sparse maps are stored sparsely
    lidar_depth_m: NDArray[np.float32]  # [P]
    relative: NDArray[np.float16]  # r [N, H, W], 0 (farthest) to 1 per image
    teacher_valid: NDArray[np.bool_]  # [N, H, W]
    sky: NDArray[np.bool_]  # [N, H, W]
    metric_range: NDArray[np.float32]  # [N, 2]: 1/depth = first + second * relative, in 1/m; NaN of a relative teacher
    features: NDArray[np.float16] | None = None  # [N, C, h, w], where the teacher has any and the losses ask for them
    trust: NDArray[np.float16] | None = None  # [N, H, W], 0 to 1, where the teacher says
    patches: PreparedPatches | None = None  # what the teacher says of pieces of each picture, where the losses ask
    context: PreparedContext | None = None  # the neighbouring pictures, where the photometric term is on

    @property
    def lidar_m(self) -> NDArray[np.float32]:
        """LiDAR z-depth [N, H, W], NaN where no visible point fell."""
        dense = np.full(self.own_body.shape, np.nan, np.float32)
        dense.reshape(-1)[self.lidar_index] = self.lidar_depth_m
        return dense


def pad_cameras(sample: PreparedSample, n_cameras: int) -> PreparedSample:
    """Return the sample with dead cameras behind its own, `n_cameras` in all, so that rigs of any size share a batch.

    They are labelled nowhere and have no say in what is answered for the others. But batch norm takes its statistics
    over all pictures of a batch, and black ones would move them, most of all for the smallest rig. So dead cameras
    repeat the living ones in turn: picture, rays and pose.
    """
    n_dead = n_cameras - len(sample.images)
    if n_dead == 0:
        return sample
    living = np.flatnonzero(sample.camera_valid)
    sources = np.resize(living if living.size else np.arange(len(sample.images)), n_dead)
    blank = ["camera_valid", "own_body", "relative", "teacher_valid", "sky", "metric_range"]
    blank += [name for name in ("features", "trust") if getattr(sample, name) is not None]
    repeated = ("images", "rays", "T_ego_cam")
    arrays: dict[str, NDArray[Any]] = {name: getattr(sample, name) for name in (*blank, *repeated)}
    padding = {name: np.zeros_like(arrays[name], shape=(n_dead, *arrays[name].shape[1:])) for name in blank}
    padding |= {name: arrays[name][sources] for name in repeated}
    arrays["neighbours"], padding["neighbours"] = sample.neighbours, np.full((n_dead, 2), -1, np.int64)
    padded: dict[str, Any] = {name: np.concatenate((array, padding[name])) for name, array in arrays.items()}
    context = None if sample.context is None else pad_context(sample.context, n_cameras)
    patches = None if sample.patches is None else sample.patches.padded(n_dead)
    return replace(sample, **padded, patches=patches, context=context)


def mirror(sample: PreparedSample) -> PreparedSample:
    """Return what preparing under the mirrored plan gives (`Framing(mirrored=True)`), from a sample that is kept.

    It costs a flip instead of a second copy of every sample; that both ways agree is tested. The teacher's labels are
    flipped too, so they are those of the recorded picture.
    """
    width_px = sample.images.shape[2]
    column = sample.lidar_index % width_px
    flipped_index = sample.lidar_index - column + (width_px - 1 - column)
    ascending = np.argsort(flipped_index)
    return replace(
        sample,
        images=np.stack([cv2.flip(image, 1) for image in sample.images]),  # far quicker than numpy's view and copy
        rays=sample.rays[:, :, ::-1] * np.array([-1, 1, 1], np.float32),
        T_ego_cam=mirrored_mount(sample.T_ego_cam).astype(np.float32),
        own_body=sample.own_body[..., ::-1],
        lidar_index=flipped_index[ascending],
        lidar_depth_m=sample.lidar_depth_m[ascending],
        relative=sample.relative[..., ::-1],
        teacher_valid=sample.teacher_valid[..., ::-1],
        sky=sample.sky[..., ::-1],
        features=None if sample.features is None else sample.features[..., ::-1],
        trust=None if sample.trust is None else sample.trust[..., ::-1],
        patches=None if sample.patches is None else sample.patches.mirrored(width_px),
        context=None if sample.context is None else mirror_context(sample.context),
    )
