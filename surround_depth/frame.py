"""The three contracts: `SurroundFrame` enters, the network answers with `SurroundDepth`, a `PointCloud` leaves.

Each is checked once, when it is made; nobody re-checks past that door. Letters: N cameras, H W pixels, P points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.geometry import Array
from surround_depth.rig import Rig

CoordinateFrame = Literal["ego", "world", "sensor"]

# Images further apart are not one moment: a stuck camera, or stamps in another unit.
MAX_FRAME_SPREAD_NS = 500_000_000
_ROTATION_TOLERANCE = 1e-4


@dataclass(frozen=True)
class EncodedImage:
    """A JPEG or PNG as it was recorded, decoded later at the size that is needed. `source` is named in errors."""

    data: bytes
    source: str


Image = NDArray[np.uint8] | EncodedImage


@dataclass(frozen=True, eq=False)
class SurroundFrame:
    """One moment of the rig: N images with their own stamps and ego poses; a camera may be missing.

    Raises:
        DataError: an axis is not N long, an image is not uint8 [H, W, 3] of its camera's size, a missing image is
            called valid, no camera is valid, a stamp is not positive, stamps lie more than half a second apart, or an
            ego pose is not rigid.
    """

    frame_id: str
    rig: Rig
    images: tuple[Image | None, ...]  # N x (RGB uint8 [H_i, W_i, 3], or encoded, or None = no image)
    stamps_ns: NDArray[np.int64]  # [N] each camera's own capture time; 0 where there is no image
    T_world_ego: Array | None  # [N, 4, 4] each camera's own ego pose, or None where the pose is unknown
    camera_valid: NDArray[np.bool_]  # [N]

    def __post_init__(self) -> None:
        n = len(self.rig)
        if len(self.images) != n:
            raise DataError(
                f"frame {self.frame_id}: {len(self.images)} images for the {n} cameras of rig {self.rig.name!r}"
            )
        _require(self, "stamps_ns", (n,), np.int64)
        _require(self, "camera_valid", (n,), np.bool_)
        if self.T_world_ego is not None:
            _require(self, "T_world_ego", (n, 4, 4), np.float64)
            _require_rigid(self.T_world_ego[self.camera_valid], f"frame {self.frame_id}: T_world_ego")
        if not self.camera_valid.any():
            raise DataError(f"frame {self.frame_id}: no camera is valid")
        for camera, image, valid, stamp in zip(
            self.rig.cameras, self.images, self.camera_valid, self.stamps_ns, strict=True
        ):
            where = f"frame {self.frame_id}, {camera.name}"
            if valid and image is None:
                raise DataError(f"{where}: called valid but has no image")
            if valid and stamp <= 0:
                raise DataError(f"{where}: stamp {stamp} ns; a valid image has a positive capture time")
            if isinstance(image, np.ndarray):
                check_image(image, camera.height_px, camera.width_px, where)

        spread_ns = int(np.ptp(self.stamps_ns[self.camera_valid]))
        if spread_ns > MAX_FRAME_SPREAD_NS:
            raise DataError(
                f"frame {self.frame_id}: stamps lie {spread_ns / 1e9:.3f} s apart (at most "
                f"{MAX_FRAME_SPREAD_NS / 1e9} s); mark a stuck camera invalid, and give nanoseconds"
            )
        _lock(self, "stamps_ns", "camera_valid", "T_world_ego")

    @property
    def reference_stamp_ns(self) -> int:
        """The capture time of the latest valid camera: the time the fused cloud is expressed at."""
        return int(self.stamps_ns[self.camera_valid].max())


@dataclass(frozen=True, eq=False)
class SurroundDepth:
    """Metric depth of every camera, expressed in the network-resolution `rig` it carries.

    Every pixel is exactly one of: valid (finite positive depth), or not valid (depth NaN). `sky` marks invalid pixels
    where the engine sees no surface within its reach (`EngineSpec.reach_m`), which is knowledge: sky, or something
    farther. Elsewhere an invalid pixel means no answer.
    """

    frame_id: str
    rig: Rig  # cameras at network resolution [H, W]
    depth_m: NDArray[np.float32]  # [N, H, W] z along the optical axis, NaN = no value
    valid: NDArray[np.bool_]  # [N, H, W]
    sky: NDArray[np.bool_]  # [N, H, W]
    confidence: NDArray[np.float32]  # [N, H, W] probability that depth_m lies within 25 % of the truth
    images: NDArray[np.uint8]  # [N, H, W, 3] what the network saw
    stamps_ns: NDArray[np.int64]  # [N]
    T_world_ego: Array | None  # [N, 4, 4]
    camera_valid: NDArray[np.bool_]  # [N]

    def __post_init__(self) -> None:
        n, camera = len(self.rig), self.rig.cameras[0]
        sizes = {(c.height_px, c.width_px) for c in self.rig.cameras}
        if len(sizes) > 1:
            raise DataError(f"frame {self.frame_id}: the cameras of a network rig have one size, got {sorted(sizes)}")
        shape = (n, camera.height_px, camera.width_px)
        _require(self, "depth_m", shape, np.float32)
        _require(self, "valid", shape, np.bool_)
        _require(self, "sky", shape, np.bool_)
        _require(self, "confidence", shape, np.float32)
        _require(self, "images", (*shape, 3), np.uint8)
        _require(self, "stamps_ns", (n,), np.int64)
        _require(self, "camera_valid", (n,), np.bool_)
        if self.T_world_ego is not None:
            _require(self, "T_world_ego", (n, 4, 4), np.float64)
            _require_rigid(self.T_world_ego[self.camera_valid], f"frame {self.frame_id}: T_world_ego")
        # Comparisons with NaN are False, so one pass checks both halves of the law.
        with np.errstate(invalid="ignore"):
            has_depth = (self.depth_m > 0) & (self.depth_m < np.inf)
        if not np.array_equal(has_depth, self.valid) or np.isnan(self.depth_m).sum() != (~self.valid).sum():
            raise DataError(
                f"frame {self.frame_id}: depth_m must be finite and positive exactly where valid, NaN elsewhere"
            )
        if (self.sky & self.valid).any():
            raise DataError(f"frame {self.frame_id}: a sky pixel is called valid")
        if self.valid[~self.camera_valid].any() or self.sky[~self.camera_valid].any():
            raise DataError(f"frame {self.frame_id}: a dead camera has valid or sky pixels")
        if not (self.confidence.min() >= 0.0 and self.confidence.max() <= 1.0):
            raise DataError(f"frame {self.frame_id}: confidence is a probability, 0 to 1 and never NaN")
        _lock(self, "stamps_ns", "camera_valid", "T_world_ego")

    @property
    def reference_index(self) -> int:
        """The valid camera with the latest stamp; the fused cloud is expressed in the ego frame at its time."""
        return int(np.argmax(np.where(self.camera_valid, self.stamps_ns, np.iinfo(np.int64).min)))


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points with what is known of each, in one named frame at one time."""

    points_m: NDArray[np.float32]  # [P, 3]
    coordinate_frame: CoordinateFrame
    stamp_ns: int
    frame_id: str = ""
    T_world_ego: Array | None = None  # [4, 4] the ego pose at stamp_ns
    rgb: NDArray[np.uint8] | None = None  # [P, 3]
    confidence: NDArray[np.float32] | None = None  # [P]
    camera_index: NDArray[np.int16] | None = None  # [P]
    intensity: NDArray[np.float32] | None = None  # [P]
    beam: NDArray[np.uint8] | None = None  # [P] of a spinning LiDAR, 0 = lowest

    def __post_init__(self) -> None:
        if self.coordinate_frame not in get_args(CoordinateFrame):
            raise DataError(
                f"cloud {self.frame_id}: coordinate_frame {self.coordinate_frame!r} is not ego, world or sensor"
            )
        p = self.points_m.shape[0] if isinstance(self.points_m, np.ndarray) and self.points_m.ndim else 0
        _require(self, "points_m", (p, 3), np.float32)
        _require_finite(self.points_m, f"cloud {self.frame_id}: points_m")
        for name, shape, dtype in (
            ("T_world_ego", (4, 4), np.float64),
            ("rgb", (p, 3), np.uint8),
            ("confidence", (p,), np.float32),
            ("camera_index", (p,), np.int16),
            ("intensity", (p,), np.float32),
            ("beam", (p,), np.uint8),
        ):
            if getattr(self, name) is not None:
                _require(self, name, shape, dtype)

    def __len__(self) -> int:
        return int(self.points_m.shape[0])


def check_image(image: NDArray[Any], height_px: int, width_px: int, where: str) -> None:
    """Raise `DataError` unless `image` is uint8 [height_px, width_px, 3]."""
    if image.dtype != np.uint8 or image.shape != (height_px, width_px, 3):
        raise DataError(
            f"{where}: expected uint8 RGB of shape ({height_px}, {width_px}, 3), got {image.dtype} {image.shape}"
        )


def _require(owner: Any, name: str, shape: tuple[int, ...], dtype: Any) -> None:
    array = getattr(owner, name)
    found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        label = owner.frame_id or type(owner).__name__
        raise DataError(f"{label}: {name} must be {np.dtype(dtype)} {shape}, got {found}")


def _require_finite(array: NDArray[Any], label: str) -> None:
    if not np.isfinite(array).all():
        raise DataError(f"{label} holds a value that is not finite")


def _require_rigid(T: NDArray[Any], label: str) -> None:
    """Refuse transforms [V, 4, 4] that are not a rotation and a translation."""
    _require_finite(T, label)
    R = T[:, :3, :3]
    scaled = np.abs(R @ np.swapaxes(R, 1, 2) - np.eye(3)).max(initial=0.0) > _ROTATION_TOLERANCE
    if scaled or (np.linalg.det(R) < 0).any() or (T[:, 3] != (0.0, 0.0, 0.0, 1.0)).any():
        raise DataError(f"{label} holds a pose that is not rigid (scaled, mirrored, or not [R t; 0 1])")


def _lock(owner: Any, *names: str) -> None:
    """Keep private, read-only copies of small arrays: what was checked cannot change later."""
    for name in names:
        if getattr(owner, name) is not None:
            copy = getattr(owner, name).copy()
            copy.setflags(write=False)
            object.__setattr__(owner, name, copy)
