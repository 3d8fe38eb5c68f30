"""Prove again an engine that was built earlier or elsewhere: on this machine, this runtime, frames of choice."""

from __future__ import annotations

from pathlib import Path

from surround_depth.errors import EngineMismatchError
from surround_depth.export.checkpoint import read_trained_student
from surround_depth.export.frames import DriveSource, proof_frames
from surround_depth.export.parity import Rung, measure_parity
from surround_depth.inference.backend import open_backend
from surround_depth.inference.manifest import ParityRecord, load_manifest
from surround_depth.inference.torch_backend import TorchBackend


def check_engine(engine: Path, checkpoint: Path, data: DriveSource | None, n_frames: int) -> ParityRecord:
    """Return the parity of an engine directory against its checkpoint in torch fp32.

    Raises:
        EngineMismatchError: the engine was made of other weights, or cannot be opened here.
        DataError: the checkpoint or the drive cannot be read.
    """
    manifest = load_manifest(engine)
    trained = read_trained_student(checkpoint)
    if trained.record.weights_sha256 != manifest.checkpoint.weights_sha256:
        raise EngineMismatchError(
            f"engine {engine} was made of weights {manifest.checkpoint.weights_sha256[:12]}... "
            f"('{manifest.checkpoint.name}'), {checkpoint} holds {trained.record.weights_sha256[:12]}...; "
            f"rebuild with python deploy/build_engine.py --checkpoint {checkpoint} --out {engine}"
        )
    with open_backend(engine) as backend:
        frames = proof_frames(backend.spec, data, n_frames)
        reference = Rung("torch fp32", TorchBackend(trained.student, backend.spec))
        candidate = Rung(f"{manifest.engine} {manifest.precision}", backend)
        return measure_parity(reference, candidate, frames.network_inputs(backend.spec.input), frames.name)
