"""One real student, untrained and small, and the engine built of it: made once, because the exporter takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from surround_depth.data.sample import SampleSequence
from surround_depth.export.engine_build import BuildRequest, build_engine
from surround_depth.imaging import InputSpec
from surround_depth.models.checkpoint import CheckpointConfig, save_student
from surround_depth.models.config import BinConfig, EncoderConfig, StudentConfig
from surround_depth.models.presets import resnet_backbone
from surround_depth.models.student import Student
from surround_depth.teachers.simulated import SimulatedTeacher
from surround_depth.training.config import DataConfig, DataSetConfig, TrainConfig
from surround_depth.training.drives import Drives, DriveSet
from surround_depth.training.provenance import run_origin

CAMERAS = 2


class Streets:
    """What a checkpoint says of its data, without any."""

    name, licence = "streets", "CC BY-NC-SA 4.0"

    def scenes(self) -> tuple[str, ...]:
        return ()

    def sequence(self, scene: str) -> SampleSequence:
        raise NotImplementedError


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint directory of a student with one block a stage."""
    torch.manual_seed(0)
    backbone = resnet_backbone((8, 8, 16, 16), (1, 1, 1, 1))
    config = StudentConfig(
        encoder=EncoderConfig(backbone=backbone),
        geometry_channels=8,
        fusion_heads=2,
        decoder_channels=(16, 16, 8, 8),
        bins=BinConfig(n_bins=16),
    )
    student = Student(config)
    directory = tmp_path_factory.mktemp("checkpoint") / "tiny_student"
    spec = InputSpec(height_px=64, width_px=96)
    provenance = run_origin(
        TrainConfig(name="tiny", input=spec, data=DataConfig(root="nowhere")),
        Drives((DriveSet("data", DataSetConfig(root="nowhere"), Streets(), Streets(), (), ()),)),
        SimulatedTeacher(),
        None,
    )
    save_student(directory, student, CheckpointConfig(student=student.config, input=spec, provenance=provenance))
    return directory


@pytest.fixture(scope="session")
def engine(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX Runtime engine of `checkpoint`; do not change it."""
    out = tmp_path_factory.mktemp("build") / "student"
    build_engine(BuildRequest(checkpoint, out, n_cameras=CAMERAS, n_parity_frames=2, command="the test's fixture"))
    return out
