"""A trained checkpoint as engines are made of it: the student, its input, depth range, hashes and lineage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surround_depth.files import file_sha256
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec
from surround_depth.inference.manifest import CheckpointRecord
from surround_depth.inference.torch_backend import TorchBackend
from surround_depth.models.checkpoint import CONFIG_NAME, WEIGHTS_NAME, load_student
from surround_depth.models.student import Student

DEFAULT_CAMERAS = 6


@dataclass(frozen=True)
class TrainedStudent:
    """A student in eval mode, and what every artefact made of it must carry on."""

    student: Student
    input: InputSpec
    record: CheckpointRecord
    licences: tuple[str, ...]

    def engine_spec(self, n_cameras: int, input: InputSpec | None = None) -> EngineSpec:
        """Return the facts of an engine of this student; `input` defaults to the resolution it was trained at."""
        bins = self.student.config.bins
        return EngineSpec(
            input=input or self.input,
            n_cameras=n_cameras,
            min_depth_m=bins.min_depth_m,
            max_depth_m=bins.max_depth_m,
            model_hash=self.record.weights_sha256,
        )


def read_trained_student(directory: Path) -> TrainedStudent:
    """Return the student of a checkpoint directory.

    Raises:
        DataError: a file is missing or damaged, or the weights do not fit the configuration.
    """
    loaded = load_student(directory)
    record = CheckpointRecord(
        name=directory.resolve().name,
        weights_sha256=file_sha256(directory / WEIGHTS_NAME),
        config_sha256=file_sha256(directory / CONFIG_NAME),
    )
    return TrainedStudent(loaded.student, loaded.config.input, record, _licences(loaded.config.provenance))


def open_checkpoint(directory: Path, *, n_cameras: int = DEFAULT_CAMERAS, device: str = "cpu") -> TorchBackend:
    """Return a checkpoint as a torch fp32 backend, for evaluation without an engine.

    Raises:
        DataError: as `read_trained_student`.
    """
    trained = read_trained_student(directory)
    return TorchBackend(trained.student, trained.engine_spec(n_cameras), device=device)


def _licences(provenance: dict[str, Any]) -> tuple[str, ...]:
    """The lineage as the training run wrote it (`training.provenance`), a line each; absence is said, not hidden."""
    lineage = provenance.get("lineage") or ()
    stated = tuple(f"{entry['kind']} {entry['name']}: {entry['licence']}" for entry in lineage)
    return stated or ("not stated in the checkpoint's provenance",)
