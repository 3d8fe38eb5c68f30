"""What every engine takes and gives, and the one door through which a compiled engine is opened.

The tensors are the same for torch, ONNX Runtime, OpenVINO and TensorRT (N cameras, H W network pixels):

    images        uint8    [N, H, W, 3]      RGB, as `imaging.ImagePlans.prepare` returns them
    rays          float32  [N, H/8, W/8, 3]  unit rays of the stride-8 cell centres, camera frame
    T_ego_cam     float32  [N, 4, 4]         camera pose in the ego frame, metres
    camera_valid  float32  [N]               1.0 for a camera that delivered an image, else 0.0
    depth_m       float32  [N, H, W]         z along the optical axis, metres
    confidence    float32  [N, H, W]         probability that depth is within 25 % of the truth

This module needs numpy alone; a runtime is imported only when an engine of its kind is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, get_args

import numpy as np

from surround_depth.errors import EngineMismatchError
from surround_depth.imaging import RAY_STRIDE_PX, InputSpec
from surround_depth.inference.device import DeviceKind
from surround_depth.inference.manifest import EngineKind, Manifest, load_manifest, read_verified

INPUT_NAMES = ("images", "rays", "T_ego_cam", "camera_valid")
OUTPUT_NAMES = ("depth_m", "confidence")

# Training pulls sky towards the far end; this far along, a depth is no longer a surface.
REACH_FRACTION_OF_MAX_DEPTH = 0.9


@dataclass(frozen=True)
class EngineSpec:
    """The fixed facts of one engine: what it must be fed, and the range of the metres it returns."""

    input: InputSpec
    """Network resolution and resize kernel; the pipeline plans its images with it."""
    n_cameras: int
    min_depth_m: float
    max_depth_m: float
    model_hash: str
    """SHA-256 (hex) of the file that computes: the ONNX graph, the plan, or the weights."""

    @property
    def reach_m(self) -> float:
        """Depths from here on mean "no surface within reach": the last bins hold the sky."""
        return REACH_FRACTION_OF_MAX_DEPTH * self.max_depth_m

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the static shape of each input tensor, in the graph's order."""
        n, height, width = self.n_cameras, self.input.height_px, self.input.width_px
        return {
            "images": (n, height, width, 3),
            "rays": (n, height // RAY_STRIDE_PX, width // RAY_STRIDE_PX, 3),
            "T_ego_cam": (n, 4, 4),
            "camera_valid": (n,),
        }

    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the static shape of each output tensor, in the graph's order."""
        shape = (self.n_cameras, self.input.height_px, self.input.width_px)
        return dict.fromkeys(OUTPUT_NAMES, shape)


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """One frame as the engine reads it; checked once, here.

    Raises:
        EngineMismatchError: a tensor has another dtype or shape than its neighbours imply, `camera_valid` holds
            something else than 0 and 1, or a pose is not finite.
    """

    images: np.ndarray  # uint8 [N, H, W, 3]
    rays: np.ndarray  # float32 [N, H/8, W/8, 3]
    T_ego_cam: np.ndarray  # float32 [N, 4, 4]
    camera_valid: np.ndarray  # float32 [N]

    def __post_init__(self) -> None:
        _require_dtype("images", self.images, np.uint8)
        if self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise EngineMismatchError(f"input 'images': expected shape [N, H, W, 3], got {list(self.images.shape)}")
        n, height, width, _ = self.images.shape
        if height % RAY_STRIDE_PX or width % RAY_STRIDE_PX:
            raise EngineMismatchError(
                f"input 'images': height and width must be multiples of {RAY_STRIDE_PX}, got {height}x{width}"
            )
        require_calibration(self.rays, self.T_ego_cam, self.camera_valid, (n, height, width))

    def as_feeds(self) -> dict[str, np.ndarray]:
        """Return the tensors by graph name, C-contiguous (no copy where they already are)."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in INPUT_NAMES}

    def require(self, spec: EngineSpec) -> None:
        """Refuse a frame that the engine was not built for.

        Raises:
            EngineMismatchError: camera count or resolution differ from `spec`.
        """
        expected = spec.input_shapes()["images"]
        if self.images.shape != expected:
            raise EngineMismatchError(
                f"input 'images': the engine was built for {list(expected)} [N, H, W, 3], "
                f"got {list(self.images.shape)}; plan the images with backend.spec.input, "
                "or rebuild with python deploy/build_engine.py --cameras N --size HxW"
            )


@dataclass(frozen=True, eq=False)
class NetworkOutputs:
    """What the engine says of one frame: metres along the optical axis and how far to trust them."""

    depth_m: np.ndarray  # float32 [N, H, W]
    confidence: np.ndarray  # float32 [N, H, W]

    @classmethod
    def from_feeds(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        """Return the outputs from a mapping by graph name."""
        return cls(depth_m=tensors["depth_m"], confidence=tensors["confidence"])


@dataclass(frozen=True, eq=False)
class Inferred:
    """What the engine says of every slot, and the images that it says it of."""

    outputs: NetworkOutputs
    images: np.ndarray  # uint8 [N, H, W, 3]


class Backend(Protocol):
    """An opened engine. It serves one caller at a time; `close` frees what it holds and may be called twice."""

    @property
    def spec(self) -> EngineSpec: ...

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        """Return depth and confidence of one frame; the arrays belong to the caller."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def engine_spec(manifest: Manifest) -> EngineSpec:
    """Return the engine's facts as its manifest states them."""
    return EngineSpec(
        input=manifest.input,
        n_cameras=manifest.n_cameras,
        min_depth_m=manifest.min_depth_m,
        max_depth_m=manifest.max_depth_m,
        model_hash=manifest.engine_file.sha256,
    )


def require_calibration(
    rays: np.ndarray, T_ego_cam: np.ndarray, camera_valid: np.ndarray, sizes: tuple[int, int, int]
) -> None:
    """Refuse what an engine of `sizes` (cameras, height, width of its images) cannot read beside them.

    Raises:
        EngineMismatchError: another dtype or shape, a camera neither valid nor invalid, or a pose that is not finite.
    """
    n, height, width = sizes
    shapes = {
        "rays": (rays, (n, height // RAY_STRIDE_PX, width // RAY_STRIDE_PX, 3)),
        "T_ego_cam": (T_ego_cam, (n, 4, 4)),
        "camera_valid": (camera_valid, (n,)),
    }
    for name, (array, shape) in shapes.items():
        _require_dtype(name, array, np.float32)
        _require_shape(name, array, shape)
    if not np.isin(camera_valid, (0.0, 1.0)).all():
        raise EngineMismatchError(f"input 'camera_valid': expected 0.0 or 1.0, got {camera_valid.tolist()}")
    if not np.isfinite(T_ego_cam).all():
        raise EngineMismatchError("input 'T_ego_cam': a pose holds a value that is not finite")


def open_backend(directory: str | Path, *, threads: int | None = None, device: DeviceKind | None = None) -> Backend:
    """Open the engine that `deploy/build_engine.py` wrote to `directory`.

    The bytes that are loaded are the bytes that were hashed: the file is read once, compared with the SHA-256 of the
    manifest, and handed to the runtime from memory. `threads` is the number of CPU threads of a CPU engine (default:
    the physical cores this process may use) and means nothing to a GPU engine. `device` is the package through which a
    TensorRT engine reaches its GPU (default: "cuda-bindings"): "pycuda" where the host owns a pycuda context, which is
    used and must be current in every thread that uses the engine. A CPU engine has none.

    Raises:
        EngineMismatchError: no or an unreadable manifest, a changed or missing file, a link, a directory of another
            user or that every user may write to or exchange, another version or GPU than the plan was built for,
            no current pycuda context, a device for an engine of the CPU, an unknown device.
        MissingDependencyError: the runtime of this kind of engine, or the device's package, is not installed.
    """
    directory = Path(directory)
    manifest = load_manifest(directory)
    engine_bytes = read_verified(directory, manifest.engine_file)
    spec = engine_spec(manifest)
    _require_device(device, manifest.engine, directory)
    match manifest.engine:
        case "onnxruntime":
            from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend

            return OnnxRuntimeBackend(engine_bytes, spec, threads=threads)
        case "openvino":
            from surround_depth.inference.openvino_backend import OpenVinoBackend

            return OpenVinoBackend(engine_bytes, spec, threads=threads)
        case "tensorrt" | "tensorrt_rtx":
            from surround_depth.inference.tensorrt_backend import TensorRTBackend

            device = device or "cuda-bindings"
            return TensorRTBackend(engine_bytes, spec, kind=manifest.engine, build=manifest.tensorrt, device=device)


def _require_device(device: str | None, engine: EngineKind, directory: Path) -> None:
    if device is None:
        return
    if device not in get_args(DeviceKind):
        raise EngineMismatchError(f"device {device!r} is unknown; choose one of {', '.join(get_args(DeviceKind))}")
    if engine in ("onnxruntime", "openvino"):
        raise EngineMismatchError(f"engine {directory}: {engine} runs on the CPU; leave device={device!r} out")


def _require_dtype(name: str, array: np.ndarray, dtype: type[np.generic]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise EngineMismatchError(f"input '{name}': expected a numpy array of {np.dtype(dtype)}, got {got}")


def _require_shape(name: str, array: np.ndarray, expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise EngineMismatchError(
            f"input '{name}': expected shape {list(expected)} to match the images, got {list(array.shape)}"
        )
