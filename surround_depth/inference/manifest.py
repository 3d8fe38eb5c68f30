"""The manifest `model.json` of a compiled engine, and the checks that stand before anything is deserialised.

A plan is native code and a graph is a program for a native interpreter (NVIDIA says `get_engine_validity` is "not a
tamper-detection mechanism"), so a file is loaded only when a manifest vouches for its SHA-256. The bytes are read once
and handed on from memory: nothing can be swapped in between.

Whom this trusts: root, the user who runs, and, where the modes let it write, the group of the folder. So the folder and
the files belong to root or to that user and not every user may write to them, nor to the folder above, where a folder
can be exchanged as a whole (a sticky one, as /tmp, guards its entries). What lies further up is the host's affair.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError, EngineMismatchError
from surround_depth.imaging import InputSpec

MANIFEST_NAME = "model.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_ENGINE_BYTES = 2 << 30
"""The single-file limit of ONNX (protobuf), which a plan of such a graph does not reach either."""
REBUILD = "rebuild with python deploy/build_engine.py --checkpoint DIR --out {directory}"

VERSION_COMPATIBLE = "VERSION_COMPATIBLE"
"""The flag of a plan that later versions of the same major TensorRT run too; it carries a lean runtime: host code."""

EngineKind = Literal["onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"]
Precision = Literal["fp32", "fp16", "int8"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
Positive = Annotated[float, Field(gt=0.0)]


class FileRecord(StrictModel):
    """One file of the engine's directory, and what its bytes must be."""

    name: FileName
    sha256: Sha256
    n_bytes: Annotated[int, Field(gt=0, le=MAX_ENGINE_BYTES)]


class CheckpointRecord(StrictModel):
    """The weights an engine was made of."""

    name: str
    weights_sha256: Sha256
    config_sha256: Sha256


class ParityRecord(StrictModel):
    """How far the engine's metres are from torch fp32 on the same frames, over pixels inside the depth range."""

    reference: str
    candidate: str
    """What was run; for a plan that could not run here, the graph it was compiled from."""
    frames: str
    n_frames: Annotated[int, Field(gt=0)]
    abs_rel_difference: Annotated[float, Field(ge=0.0)]
    p99_relative: Annotated[float, Field(ge=0.0)]
    p99_m: Annotated[float, Field(ge=0.0)]
    max_m: Annotated[float, Field(ge=0.0)]
    share_beyond_1pct: Annotated[float, Field(ge=0.0, le=1.0)]
    max_confidence_difference: Annotated[float, Field(ge=0.0)]
    abs_rel_reference: Annotated[float, Field(ge=0.0)] | None = None
    """AbsRel of torch fp32 against the truth of these frames; None where they have none."""
    abs_rel_worsening: float | None = None
    """By how much the engine's AbsRel is larger than that, as a share of it; negative where it is smaller."""


class TensorRTRecord(StrictModel):
    """Where a plan may run: a plan is bound to the library version and, unless portable, to the GPU it was built on."""

    library: Literal["tensorrt", "tensorrt_rtx"]
    version: str
    gpu_name: str | None
    """None: not bound to one (a TensorRT-RTX plan, or one built with --hardware-compatible)."""
    flags: tuple[str, ...]


class Manifest(StrictModel):
    """`model.json`, schema version 1."""

    schema_version: Literal[1]
    engine: EngineKind
    precision: Precision
    n_cameras: Annotated[int, Field(ge=1, le=16)]
    input: InputSpec
    min_depth_m: Positive
    max_depth_m: Positive
    onnx: FileRecord
    plan: FileRecord | None = None
    tensorrt: TensorRTRecord | None = None
    checkpoint: CheckpointRecord
    parity: ParityRecord
    calibration: str | None = None
    """int8: the frames that the activations' ranges were read off."""
    licences: tuple[str, ...]
    """Lineage, one line each: weights, training data, teacher, code."""
    versions: dict[str, str]
    host: dict[str, str]
    build_command: str
    created_utc: str

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if self.min_depth_m >= self.max_depth_m:
            raise ValueError(f"min_depth_m {self.min_depth_m} must be below max_depth_m {self.max_depth_m}")
        is_tensorrt = self.engine in ("tensorrt", "tensorrt_rtx")
        if is_tensorrt != (self.plan is not None) or is_tensorrt != (self.tensorrt is not None):
            raise ValueError(f"engine {self.engine!r}: 'plan' and 'tensorrt' belong to a TensorRT engine alone")
        if self.tensorrt is not None and self.tensorrt.library != self.engine:
            raise ValueError(f"engine {self.engine!r} but tensorrt.library {self.tensorrt.library!r}")
        return self

    @property
    def engine_file(self) -> FileRecord:
        """The file that the runtime loads: the plan where there is one, else the ONNX graph."""
        return self.plan if self.plan is not None else self.onnx


def load_manifest(directory: Path) -> Manifest:
    """Return the checked manifest of an engine directory.

    Raises:
        EngineMismatchError: a directory that is not trusted (see above), no manifest, a link, not JSON, another schema
            version, an unknown engine, or any other field that does not hold; one line with the fix.
    """
    _require_private(directory)
    text = _read_regular(directory, MANIFEST_NAME, MAX_MANIFEST_BYTES)
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise _refusal(directory, f"{MANIFEST_NAME}: {_first_error(error)}") from error
    except ConfigError as error:  # InputSpec speaks for itself
        raise _refusal(directory, f"{MANIFEST_NAME}: {error}") from error


def read_verified(directory: Path, record: FileRecord) -> bytes:
    """Return the bytes of one engine file after comparing them with the manifest.

    Raises:
        EngineMismatchError: missing, a link, another size, or another SHA-256.
    """
    content = _read_regular(directory, record.name, MAX_ENGINE_BYTES, expected_bytes=record.n_bytes)
    digest = hashlib.sha256(content).hexdigest()
    if digest != record.sha256:
        expected = f"the manifest's {record.sha256[:12]}..."
        raise _refusal(directory, f"{record.name}: SHA-256 {digest[:12]}... is not {expected}")
    return content


def _require_private(directory: Path) -> None:
    try:
        status = os.lstat(directory)
    except FileNotFoundError as error:
        raise _refusal(directory, "no such engine directory") from error
    except (OSError, ValueError) as error:
        raise _refusal(directory, f"cannot be read: {error}") from error
    if stat.S_ISLNK(status.st_mode):
        raise _refusal(directory, f"is a link; open {os.path.realpath(directory)} itself", fix=False)
    if not stat.S_ISDIR(status.st_mode):
        raise _refusal(directory, "is not a directory; open_backend takes the folder that build_engine.py wrote")
    _require_owner(directory, "it", status)
    if status.st_mode & stat.S_IWOTH:
        raise _refusal(directory, f"every user may write to it; run chmod o-w {directory} and")
    above = Path(os.path.realpath(directory)).parent
    mode_above = os.stat(above).st_mode
    if mode_above & stat.S_IWOTH and not mode_above & stat.S_ISVTX:
        raise _refusal(directory, f"every user may exchange it in {above}; run chmod o-w {above} and")


def _require_owner(directory: Path, what: str, status: os.stat_result) -> None:
    """Refuse what belongs to a user who is neither root nor the one who runs."""
    trusted = {0, os.geteuid()} if hasattr(os, "geteuid") else {status.st_uid}
    if status.st_uid not in trusted:
        owner = f"{what} belongs to user {status.st_uid}, who may write to it"
        raise _refusal(directory, f"{owner}; if you trust it, run chown -R root {directory}", fix=False)


def _read_regular(directory: Path, name: str, max_bytes: int, expected_bytes: int | None = None) -> bytes:
    """Read a plain file of the directory, without following a link and without waiting on a pipe."""
    path = directory / name
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as error:
        if name == MANIFEST_NAME and (directory / "model.safetensors").is_file():
            command = f"python deploy/build_engine.py --checkpoint {directory} --out build/student"
            raise EngineMismatchError(f"{directory} is a checkpoint, not an engine; compile it: {command}") from error
        raise _refusal(directory, f"{name} is missing") from error
    except OSError as error:
        what = "is a link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise _refusal(directory, f"{name} {what}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _refusal(directory, f"{name} is not a plain file")
        _require_owner(directory, name, status)
        if status.st_mode & stat.S_IWOTH:
            raise _refusal(directory, f"every user may write to {name}; run chmod o-w {path} and")
        if status.st_size > max_bytes:
            raise _refusal(directory, f"{name} holds {status.st_size} bytes, over the limit of {max_bytes}")
        if expected_bytes is not None and status.st_size != expected_bytes:
            raise _refusal(directory, f"{name} holds {status.st_size} bytes, the manifest says {expected_bytes}")
        return file.read(max_bytes)


def _refusal(directory: Path, reason: str, *, fix: bool = True) -> EngineMismatchError:
    joint = " " if reason.endswith(" and") else "; "
    advice = joint + REBUILD.format(directory=directory) if fix else ""
    return EngineMismatchError(f"engine {directory}: {reason}{advice}")


def _first_error(error: ValidationError) -> str:
    item = error.errors(include_url=False)[0]
    dotted = ".".join(str(part) for part in item["loc"])
    got = f", got {str(item['input'])[:60]!r}" if item["type"] != "missing" and dotted else ""
    return f"{dotted + ': ' if dotted else ''}{item['msg']}{got}"
