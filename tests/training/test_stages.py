"""What each step learns from: the same wherever a run starts again, whoever loads it; what cannot be read is named."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from flat_road import FakeSequence

from surround_depth.config import parse_config
from surround_depth.data.sample import Sample
from surround_depth.errors import DataError, SurroundDepthError
from surround_depth.teachers.simulated import SimulatedTeacher
from surround_depth.training.config import DataSetConfig, TrainConfig
from surround_depth.training.dataset import Batch
from surround_depth.training.drives import Drives, DriveSet
from surround_depth.training.stages import Stages, open_stages

torch.set_num_threads(1)


NO_PICTURE = DataError("CAM_FRONT.jpg is no picture; download it again")


@dataclass(frozen=True)
class Damaged(FakeSequence):
    """A drive whose sample 1 cannot be read."""

    error: Exception = NO_PICTURE

    def __getitem__(self, index: int) -> Sample:
        if index == 1:
            raise self.error
        return super().__getitem__(index)


def stages(config: TrainConfig, sequence: Any, rank: int = 0, n_processes: int = 1, **data: Any) -> Stages:
    tree = config.model_dump() | {
        "coarse": {"input": {"height_px": 64, "width_px": 64}, "share": 0.5},
        "optim": {"steps": 4, "batch_size": 1, "accumulation": 2},
    }
    tree["data"] |= data
    nothing: Any = None
    one = DriveSet("data", DataSetConfig(root="r"), nothing, nothing, (sequence,), (sequence,))
    return open_stages(
        parse_config(TrainConfig, tree, "test"), Drives((one,)), SimulatedTeacher(), rank=rank, n_processes=n_processes
    )


def same(a: Batch, b: Batch) -> bool:
    return a.sample_ids == b.sample_ids and torch.equal(a.images, b.images) and torch.equal(a.relative, b.relative)


def test_a_run_goes_on_with_the_same_pictures_in_either_stage_with_or_without_workers(tiny_config: TrainConfig) -> None:
    whole = list(stages(tiny_config, FakeSequence()).after(0))
    assert [step[0].images.shape[3] for step in whole] == [64, 64, 96, 96]
    for first, n_workers in ((1, 2), (2, 0), (3, 2)):
        rest = list(stages(tiny_config, FakeSequence(), n_workers=n_workers, cache=False).after(first))
        assert len(rest) == 4 - first
        pairs = zip(itertools.chain(*whole[first:]), itertools.chain(*rest), strict=True)
        assert all(same(a, b) for a, b in pairs)


def test_processes_share_what_one_would_take(tiny_config: TrainConfig) -> None:
    both = [next(stages(tiny_config, FakeSequence(), rank, 2).after(1)) for rank in (0, 1)]
    alone = stages(tiny_config, FakeSequence()).after(2)  # half as many samples a step: steps 2 and 3 are step 1 of two
    names = [batch.sample_ids for batch in itertools.chain(*both)]
    assert names == [batch.sample_ids for batch in itertools.chain(*itertools.islice(alone, 2))]


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_sample_that_cannot_be_read_is_named_in_one_line(tiny_config: TrainConfig, n_workers: int) -> None:
    drive = Damaged("drive-7")
    with pytest.raises(SurroundDepthError) as caught:
        list(stages(tiny_config, drive, n_workers=n_workers).after(0))
    assert str(caught.value) == "sample 1 of drive-7: CAM_FRONT.jpg is no picture; download it again"


def test_a_fault_of_ours_keeps_its_traceback_and_names_the_sample(tiny_config: TrainConfig) -> None:
    drive = replace(Damaged("drive-7"), error=ZeroDivisionError("in numba"))
    with pytest.raises(ZeroDivisionError) as caught:
        list(stages(tiny_config, drive, n_workers=1).after(0))
    assert "while preparing sample 1 of drive-7" in str(caught.value)
