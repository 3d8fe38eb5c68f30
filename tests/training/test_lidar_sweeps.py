"""`data.lidar_sweeps`: labels from the sweeps around a sample, truth from its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from surround_depth.data.sample import Box, Sample
from surround_depth.errors import ConfigError
from surround_depth.frame import PointCloud
from surround_depth.geometry import rigid
from surround_depth.imaging import Framing, InputSpec
from surround_depth.training.config import DataConfig, SweepConfig
from surround_depth.training.samples import SamplePreparer, SampleStore

SPEC = InputSpec(height_px=64, width_px=96)
STEP_NS, STEP_M = 100_000_000, 0.2


@dataclass(frozen=True)
class Recorded:
    """The fake street with sweeps before and after each sample, from places 0.2 m apart."""

    drive: Any
    conditions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.drive.name)

    def __len__(self) -> int:
        return len(self.drive)

    def __getitem__(self, index: int) -> Sample:
        sample: Sample = self.drive[index]
        return replace(sample, lidar=self.sweeps(index, 0, 0)[0])

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        own = self.drive[index].lidar
        return tuple(
            replace(own, stamp_ns=own.stamp_ns + k * STEP_NS, T_world_ego=rigid(np.eye(3), (STEP_M * k, 0.0, 0.0)))
            for k in range(-before, after + 1)
        )

    def boxes(self, index: int) -> tuple[Box, ...]:
        return ()

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        return ()


def test_more_sweeps_are_more_labels_at_the_same_depths(fake_sequence: Any) -> None:
    drive = Recorded(fake_sequence)
    sweeps = DataConfig.model_validate({"root": "r", "lidar_sweeps": {"before": 1, "after": 2}}).lidar_sweeps
    preparer = SamplePreparer(SPEC, None)
    alone = SampleStore([drive], preparer, cache=False)
    together = SampleStore([drive], preparer, cache=False, sweeps=sweeps)
    for one, all_four in (
        (alone[1], together[1]),
        (alone.framed(1, Framing(1.5)), together.framed(1, Framing(1.5))),
    ):
        assert len(all_four.lidar_index) > 1.3 * len(one.lidar_index)
        seen = np.isfinite(one.lidar_m) & np.isfinite(all_four.lidar_m)
        # one road, seen from places 0.2 m apart: a pixel's depth stays within its footprint
        assert np.median(np.abs(one.lidar_m[seen] / all_four.lidar_m[seen] - 1)) < 0.05
    np.testing.assert_array_equal(alone.truths_m(1)["lidar"], together.truths_m(1)["lidar"])


def test_by_default_the_samples_own_sweep(fake_sequence: Any) -> None:
    assert DataConfig(root="r").lidar_sweeps == SweepConfig(before=0, after=0)
    plain = SampleStore([fake_sequence], SamplePreparer(SPEC, None), cache=False, sweeps=SweepConfig())
    drive = SampleStore([Recorded(fake_sequence)], SamplePreparer(SPEC, None), cache=False)
    np.testing.assert_array_equal(plain[0].lidar_index, drive[0].lidar_index)


def test_a_drive_without_sweeps_is_refused(fake_sequence: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.lidar_sweeps: drive fake-0 has no sweeps"):
        SampleStore([fake_sequence], SamplePreparer(SPEC, None), cache=False, sweeps=SweepConfig(before=1))


def test_fewer_beams_are_fewer_labels_and_truth_keeps_all(fake_sequence: Any) -> None:
    beam = np.zeros(len(fake_sequence[1].lidar), np.uint8)
    beam[::4] = 4  # of a sensor of 8, the one that stays

    class Beams(Recorded):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            assert sample.lidar is not None
            return replace(sample, lidar=replace(sample.lidar, beam=beam[: len(sample.lidar)]))

    preparer = SamplePreparer(SPEC, None)
    thin = SampleStore([Beams(fake_sequence)], preparer, cache=False, n_beams=1)
    whole = SampleStore([Beams(fake_sequence)], preparer, cache=False)
    n_thin, n_whole = (len(store[1].lidar_index) for store in (thin, whole))
    assert n_whole / 4 <= n_thin < n_whole * 0.7  # points of several beams may share a pixel
    np.testing.assert_array_equal(thin.truths_m(1)["lidar"], whole.truths_m(1)["lidar"])
    with pytest.raises(ValidationError, match=r"lidar_beams is for a sample's own sweep"):
        DataConfig.model_validate({"root": "r", "lidar_sweeps": {"before": 1}, "lidar_beams": 4})
