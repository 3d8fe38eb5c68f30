"""Draws depend on seed and number alone, whoever loads them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from surround_depth.imaging import InputSpec
from surround_depth.teachers.simulated import SimulatedTeacher
from surround_depth.training.config import AugmentConfig
from surround_depth.training.dataset import DrawnSamples, _WithoutOpenCvThreads, collate, training_batches
from surround_depth.training.samples import SamplePreparer, SampleStore

EVERYTHING = AugmentConfig(zoom=(1.0, 2.0), shift=1.0, augmix=0.5, augmix_severity=1.0, camera_dropout=0.5)


@pytest.fixture
def drawn(fake_sequence: Any) -> DrawnSamples:
    preparer = SamplePreparer(InputSpec(height_px=64, width_px=96), SimulatedTeacher())
    return DrawnSamples(SampleStore([fake_sequence], preparer, cache=True), EVERYTHING, seed=3)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_workers_load_the_same_bytes_as_one_process(drawn: DrawnSamples, n_workers: int) -> None:
    def batches(n: int) -> list[Any]:
        return list(training_batches(drawn, first_draw=2, n_draws=6, batch_size=1, n_workers=n))

    alone, shared = batches(0), batches(n_workers)
    assert len(alone) == len(shared) == 6
    for ours, theirs in zip(alone, shared, strict=True):
        assert ours.sample_ids == theirs.sample_ids
        for field in fields(ours):
            value = getattr(ours, field.name)
            if isinstance(value, torch.Tensor):
                assert value.numpy().tobytes() == getattr(theirs, field.name).numpy().tobytes(), field.name


def test_passes_and_seeds_differ(drawn: DrawnSamples) -> None:
    n = len(drawn.store)
    one_pass = [drawn[k] for k in range(n)]
    assert len({sample.sample_id for sample in one_pass}) == n
    by_id = {sample.sample_id: sample for sample in one_pass}
    again = drawn[n]
    assert not np.array_equal(again.rays, by_id[again.sample_id].rays)  # another zoom in the next pass
    other_seed = DrawnSamples(drawn.store, EVERYTHING, seed=4)
    assert any(not np.array_equal(other_seed[k].rays, drawn[k].rays) for k in range(n))


def test_lidar_and_masks_unfold_where_they_belong(drawn: DrawnSamples) -> None:
    samples = [drawn[k] for k in range(9)]  # some show the own body
    batch = collate(samples)
    for name in ("own_body", "teacher_valid", "sky"):
        expected = np.stack([getattr(sample, name) for sample in samples])
        assert 0 < expected.sum() < expected.size
        np.testing.assert_array_equal(getattr(batch, name).numpy(), expected)
    assert batch.lidar_m.dtype == torch.float32
    for found, sample in zip(batch.lidar_m, samples, strict=True):
        np.testing.assert_array_equal(found.numpy(), sample.lidar_m)


class ThreadCounts(Dataset[int]):
    """One item: how many threads OpenCV believes to have where it is read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        return cv2.getNumThreads()


def test_workers_are_forked_without_opencvs_threads(drawn: DrawnSamples) -> None:
    """A worker that inherits a pool without its threads hangs in the next OpenCV call. Ours keeps its own."""
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        cv2.cvtColor(np.zeros((2000, 2000, 3), np.uint8), cv2.COLOR_BGR2HSV)  # starts the pool
        counts = ThreadCounts()
        assert list(DataLoader(counts, num_workers=1)) == [torch.tensor([2])]  # what a plain loader's worker inherits
        batches = iter(training_batches(drawn, first_draw=0, n_draws=2, batch_size=1, n_workers=1))
        assert cv2.getNumThreads() == 2
        assert len(list(batches)) == 2
        assert list(_WithoutOpenCvThreads(counts, num_workers=1)) == [torch.tensor([1])]
    finally:
        cv2.setNumThreads(before)
