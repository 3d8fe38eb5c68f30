"""The three contracts: `SurroundFrame` enters, the network answers with `SurroundDepth`, a `PointCloud` leaves.

Each is checked once, when it is made; nobody re-checks past that door. Letters: N cameras, H W pixels, P points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.geometry import Array
from surround_depth.rig import Rig

CoordinateFrame = Literal["ego", "world", "sensor"]


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
            called valid, no camera is valid, or a stamp is not positive.
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
            _require_finite(self.T_world_ego[self.camera_valid], f"frame {self.frame_id}: T_world_ego")
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

    @property
    def reference_stamp_ns(self) -> int:
        """The capture time of the latest valid camera: the time the fused cloud is expressed at."""
        return int(self.stamps_ns[self.camera_valid].max())


@dataclass(frozen=True, eq=False)
class SurroundDepth:
    """Metric depth of every camera, expressed in the network-resolution `rig` it carries.

    Every pixel is exactly one of: valid (finite positive depth), or not valid (depth NaN). Sky is not valid and is
    marked in `sky`: nothing there within range, which is knowledge; elsewhere an invalid pixel means no answer.
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
        # Comparisons with NaN are False, so one pass checks both halves of the law.
        with np.errstate(invalid="ignore"):
            has_depth = (self.depth_m > 0) & (self.depth_m < np.inf)
        if not np.array_equal(has_depth, self.valid) or np.isnan(self.depth_m).sum() != (~self.valid).sum():
            raise DataError(
                f"frame {self.frame_id}: depth_m must be finite and positive exactly where valid, NaN elsewhere"
            )
        if (self.sky & self.valid).any():
            raise DataError(f"frame {self.frame_id}: a sky pixel is called valid")
        if self.valid[~self.camera_valid].any():
            raise DataError(f"frame {self.frame_id}: a dead camera has valid pixels")

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

    def __post_init__(self) -> None:
        p = self.points_m.shape[0]
        _require(self, "points_m", (p, 3), np.float32)
        _require_finite(self.points_m, f"cloud {self.frame_id}: points_m")
        for name, shape, dtype in (
            ("T_world_ego", (4, 4), np.float64),
            ("rgb", (p, 3), np.uint8),
            ("confidence", (p,), np.float32),
            ("camera_index", (p,), np.int16),
            ("intensity", (p,), np.float32),
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
