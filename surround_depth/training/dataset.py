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
from torch.utils.data import DataLoader, Dataset

from surround_depth.training.augment import augment, draw_framing
from surround_depth.training.config import AugmentConfig
from surround_depth.training.prepared import PreparedSample
from surround_depth.training.samples import SampleStore


@dataclass(frozen=True)
class Batch:
    """B samples as tensors; see `PreparedSample` for the meaning."""

    sample_ids: tuple[str, ...]
    images: Tensor  # uint8 [B, N, H, W, 3]
    rays: Tensor  # float32 [B, N, H/8, W/8, 3]
    T_ego_cam: Tensor  # float32 [B, N, 4, 4]
    camera_valid: Tensor  # float32 [B, N]
    own_body: Tensor  # bool [B, N, H, W]
    lidar_m: Tensor  # float32 [B, N, H, W], NaN = none
    relative: Tensor  # float32 [B, N, H, W]
    teacher_valid: Tensor  # bool [B, N, H, W]
    sky: Tensor  # bool [B, N, H, W]

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
    draws = range(first_draw, first_draw + n_draws)
    return DataLoader(
        drawn,
        batch_size=batch_size,
        sampler=draws,
        num_workers=n_workers,
        collate_fn=collate,
        drop_last=True,
        worker_init_fn=_one_thread,
    )


def _one_thread(worker: int) -> None:
    """Several workers with a thread per core each would only wait for one another (torch sets its own to one)."""
    cv2.setNumThreads(1)


def collate(samples: list[PreparedSample]) -> Batch:
    """Return samples of rigs with equally many cameras as one batch."""

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(sample, name) for sample in samples]))

    return Batch(
        sample_ids=tuple(sample.sample_id for sample in samples),
        images=stack("images"),
        rays=stack("rays"),
        T_ego_cam=stack("T_ego_cam"),
        camera_valid=stack("camera_valid").float(),
        own_body=stack("own_body"),
        lidar_m=stack("lidar_m"),
        relative=stack("relative").float(),
        teacher_valid=stack("teacher_valid"),
        sky=stack("sky"),
    )
