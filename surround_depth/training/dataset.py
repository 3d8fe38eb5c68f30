"""The order of training, fixed by a seed: draw k is always the same sample with the same augmentation.

Any range of draws can therefore be repeated alone, with any number of workers: the position of a resumed run, and the
share of each of several processes, are numbers of draws and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from surround_depth.losses.case import Patches
from surround_depth.losses.photometric import ViewContext
from surround_depth.training.augment import augment, draw_framing
from surround_depth.training.config import AugmentConfig
from surround_depth.training.prepared import PreparedSample, pad_cameras
from surround_depth.training.samples import SampleStore

_OWN_BODY, _TEACHER_VALID, _SKY = 1, 2, 4  # the bits of `Batch.masks`


@dataclass(frozen=True)
class Batch:
    """B samples as tensors; see `PreparedSample` for the meaning.

    Kept compact, and unfolded where they are used: from a worker to the GPU a millisecond goes by for every megabyte.
    """

    sample_ids: tuple[str, ...]
    images: Tensor  # uint8 [B, N, H, W, 3]
    rays: Tensor  # float32 [B, N, H/8, W/8, 3]
    T_ego_cam: Tensor  # float32 [B, N, 4, 4]
    camera_valid: Tensor  # float32 [B, N]
    neighbours: Tensor  # int64 [B, N, 2]
    masks: Tensor  # uint8 [B, N, H, W], one bit for each of `own_body`, `teacher_valid`, `sky`
    lidar_index: Tensor  # int64 [P] into the flat [B, N, H, W]
    lidar_depth_m: Tensor  # float32 [P]
    relative: Tensor  # float16 [B, N, H, W]
    metric_range: Tensor  # float32 [B, N, 2]
    features: Tensor | None = None  # float16 [B, N, C, h, w]
    trust: Tensor | None = None  # float16 [B, N, H, W]
    patches: Patches | None = None
    context: ViewContext | None = None

    @property
    def own_body(self) -> Tensor:
        """Own-vehicle mask, bool [B, N, H, W]."""
        return (self.masks & _OWN_BODY) != 0

    @property
    def teacher_valid(self) -> Tensor:
        """Where `relative` means something, bool [B, N, H, W]."""
        return (self.masks & _TEACHER_VALID) != 0

    @property
    def sky(self) -> Tensor:
        """Where the teacher sees sky, bool [B, N, H, W]."""
        return (self.masks & _SKY) != 0

    @property
    def lidar_m(self) -> Tensor:
        """LiDAR z-depth, float32 [B, N, H, W], NaN = none; a new tensor on each call."""
        dense = torch.full(self.masks.shape, torch.nan, device=self.lidar_depth_m.device)
        dense.view(-1)[self.lidar_index] = self.lidar_depth_m
        return dense

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: v.to(device, non_blocking=True) for k, v in values.items() if isinstance(v, Tensor)}
        context = None if self.context is None else self.context.to(device)
        return replace(
            self, **moved, patches=None if self.patches is None else self.patches.to(device), context=context
        )


class DrawnSamples(Dataset[PreparedSample]):
    """Draw k = a sample of the store, in an order shuffled anew each pass, augmented by a generator seeded with k."""

    def __init__(self, store: SampleStore, augmentation: AugmentConfig, seed: int) -> None:
        self.store = store
        self.augmentation = augmentation
        self.seed = seed

    def __getitem__(self, draw: int) -> PreparedSample:
        rng = np.random.default_rng((self.seed, 1, draw))
        framing = draw_framing(self.augmentation, rng)
        return augment(self.store.framed(self.index_of(draw), framing), self.augmentation, rng)

    def index_of(self, draw: int) -> int:
        """Return which sample of the store a draw is of."""
        epoch, place = divmod(draw, len(self.store))
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.store))
        return int(order[place])


class _WithoutOpenCvThreads(DataLoader[Any]):
    """Forks its workers while OpenCV has no threads, or they inherit a pool without its threads and wait forever.

    One thread is what workers want anyway: several of them with a thread per core would wait for one another. The main
    process has its threads again when the workers are there.
    """

    def __iter__(self) -> Any:
        n_threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            return super().__iter__()
        finally:
            cv2.setNumThreads(n_threads)


def training_batches(
    drawn: DrawnSamples, *, first_draw: int, n_draws: int, batch_size: int, n_workers: int
) -> DataLoader[Any]:
    """Return the loader of draws `first_draw` .. `first_draw + n_draws`, in order."""
    draws = range(first_draw, first_draw + n_draws)
    loader = DataLoader if n_workers == 0 else _WithoutOpenCvThreads
    return loader(
        drawn,
        batch_size=batch_size,
        sampler=draws,
        num_workers=n_workers,
        collate_fn=collate,
        drop_last=True,
        generator=torch.Generator(),  # or a loader's start would move torch's own, and a resumed run off its path
    )


def collate(samples: list[PreparedSample]) -> Batch:
    """Return samples as one batch: a rig with fewer cameras than the largest gets dead ones (`pad_cameras`)."""
    most = max(len(sample.images) for sample in samples)
    samples = [pad_cameras(sample, most) for sample in samples]

    def stack(name: str) -> Tensor:
        return _stack([getattr(sample, name) for sample in samples])

    n_pixels = samples[0].own_body.size
    lidar_index = [i * n_pixels + sample.lidar_index.astype(np.int64) for i, sample in enumerate(samples)]
    return Batch(
        sample_ids=tuple(sample.sample_id for sample in samples),
        images=stack("images"),
        rays=stack("rays"),
        T_ego_cam=stack("T_ego_cam"),
        camera_valid=stack("camera_valid").float(),
        neighbours=stack("neighbours"),
        masks=_stack([_packed_masks(sample) for sample in samples]),
        lidar_index=torch.from_numpy(np.concatenate(lidar_index)),
        lidar_depth_m=torch.from_numpy(np.concatenate([sample.lidar_depth_m for sample in samples])),
        relative=stack("relative"),
        metric_range=stack("metric_range"),
        features=None if samples[0].features is None else stack("features"),
        trust=None if samples[0].trust is None else stack("trust"),
        patches=_patches(samples),
        context=_context(samples),
    )


def _patches(samples: list[PreparedSample]) -> Patches | None:
    patches = [sample.patches for sample in samples if sample.patches is not None]
    if len(patches) < len(samples):
        return None
    return Patches(
        inverse_depth=_stack([one.inverse_depth for one in patches]),
        valid=_stack([one.valid for one in patches]),
        windows=torch.from_numpy(patches[0].windows),
    )


def _context(samples: list[PreparedSample]) -> ViewContext | None:
    contexts = [sample.context for sample in samples if sample.context is not None]
    if len(contexts) < len(samples):
        return None
    return ViewContext(
        images=_stack([np.stack(context.images) for context in contexts]),
        valid=_stack([context.valid for context in contexts]),
        T_ref_cam=_stack([context.T_ref_cam for context in contexts]),
        K=_stack([context.K for context in contexts]),
        neighbours=_stack([sample.neighbours for sample in samples]),
        own_body=_stack([sample.own_body for sample in samples]),
    )


def _packed_masks(sample: PreparedSample) -> NDArray[np.uint8]:
    pairs = ((sample.own_body, _OWN_BODY), (sample.teacher_valid, _TEACHER_VALID), (sample.sky, _SKY))
    packed = np.zeros(sample.own_body.shape, np.uint8)
    for mask, bit in pairs:
        packed |= mask.view(np.uint8) * np.uint8(bit)
    return packed


def _stack(arrays: list[NDArray[Any]]) -> Tensor:
    """Return the arrays as one tensor, which torch's own collate builds in shared memory where a worker calls it."""
    # torch takes neither a flipped view nor a locked array
    tensors = [torch.from_numpy(np.require(array, requirements=("C", "W"))) for array in arrays]
    stacked: Tensor = default_collate(tensors)
    return stacked
