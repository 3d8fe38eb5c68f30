"""The order of training, fixed by a seed: draw k is always the same sample with the same augmentation.

Any range of draws can therefore be repeated alone, with any number of workers. It is not a resume: the optimiser and
the running average of a run are not stored, so a run that is stopped starts again (`--init` gives it weights only).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from surround_depth.training.augment import augment, draw_framing
from surround_depth.training.config import AugmentConfig
from surround_depth.training.prepared import PreparedSample
from surround_depth.training.samples import SampleStore


@dataclass(frozen=True)
class Batch:
    """B samples as tensors; see `PreparedSample` for the meaning.

    Kept as compact as the samples are: workers and the way to the GPU carry half the bytes.
    """

    sample_ids: tuple[str, ...]
    images: Tensor  # uint8 [B, N, H, W, 3]
    rays: Tensor  # float32 [B, N, H/8, W/8, 3]
    T_ego_cam: Tensor  # float32 [B, N, 4, 4]
    camera_valid: Tensor  # float32 [B, N]
    own_body: Tensor  # bool [B, N, H, W]
    lidar_index: Tensor  # int64 [P] into the flat [B, N, H, W]
    lidar_depth_m: Tensor  # float32 [P]
    relative: Tensor  # float16 [B, N, H, W]
    teacher_valid: Tensor  # bool [B, N, H, W]
    sky: Tensor  # bool [B, N, H, W]

    @property
    def lidar_m(self) -> Tensor:
        """LiDAR z-depth, float32 [B, N, H, W], NaN = none; a new tensor on each call."""
        dense = torch.full(self.own_body.shape, torch.nan, device=self.lidar_depth_m.device)
        dense.view(-1)[self.lidar_index] = self.lidar_depth_m
        return dense

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "sample_ids"}
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}
        return replace(self, **moved)


class DrawnSamples(Dataset[PreparedSample]):
    """Draw k = a sample of the store, in an order shuffled anew each pass, augmented by a generator seeded with k."""

    def __init__(self, store: SampleStore, augmentation: AugmentConfig, seed: int) -> None:
        self.store = store
        self.augmentation = augmentation
        self.seed = seed

    def __getitem__(self, draw: int) -> PreparedSample:
        epoch, place = divmod(draw, len(self.store))
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.store))
        rng = np.random.default_rng((self.seed, 1, draw))
        framing = draw_framing(self.augmentation, rng)
        return augment(self.store.framed(int(order[place]), framing), self.augmentation, rng)


def training_batches(
    drawn: DrawnSamples, *, first_draw: int, n_draws: int, batch_size: int, n_workers: int
) -> DataLoader[Any]:
    """Return the loader of draws `first_draw` .. `first_draw + n_draws`, in order."""
    if n_workers > 0:
        # Before the fork, or workers inherit the state of a thread pool without its threads and wait for them forever.
        # One thread is what they want anyway: several workers with a thread per core would wait for one another.
        cv2.setNumThreads(1)
    draws = range(first_draw, first_draw + n_draws)
    return DataLoader(
        drawn,
        batch_size=batch_size,
        sampler=draws,
        num_workers=n_workers,
        collate_fn=collate,
        drop_last=True,
    )


def collate(samples: list[PreparedSample]) -> Batch:
    """Return samples of rigs with equally many cameras as one batch."""

    def stack(name: str) -> Tensor:
        # torch takes neither a flipped view nor a locked array; its own collate then stacks into shared memory at once
        arrays = (np.require(getattr(sample, name), requirements=("C", "W")) for sample in samples)
        stacked: Tensor = default_collate([torch.from_numpy(array) for array in arrays])
        return stacked

    n_pixels = samples[0].own_body.size
    lidar_index = [i * n_pixels + sample.lidar_index.astype(np.int64) for i, sample in enumerate(samples)]
    return Batch(
        sample_ids=tuple(sample.sample_id for sample in samples),
        images=stack("images"),
        rays=stack("rays"),
        T_ego_cam=stack("T_ego_cam"),
        camera_valid=stack("camera_valid").float(),
        own_body=stack("own_body"),
        lidar_index=torch.from_numpy(np.concatenate(lidar_index)),
        lidar_depth_m=torch.from_numpy(np.concatenate([sample.lidar_depth_m for sample in samples])),
        relative=stack("relative"),
        teacher_valid=stack("teacher_valid"),
        sky=stack("sky"),
    )
