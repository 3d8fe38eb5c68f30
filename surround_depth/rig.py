"""The rig: cameras with lens and pose, read strictly from YAML, immutable once built. Laws: see `geometry`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from surround_depth.config import StrictModel, parse_config, read_yaml
from surround_depth.errors import CalibrationError, ConfigError
from surround_depth.geometry import Array, Lens, LensModel, R_to_quaternion, for_hash, quaternion_to_R, rigid, unit_rays

# A rig is bolted to one vehicle: a translation beyond this is in millimetres, or in the world frame.
MAX_MOUNT_DISTANCE_M = 25.0
MAX_IMAGE_SIDE_PX = 16_384
_ROTATION_TOLERANCE = 1e-4

Polygons = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera of a rig. `K` and `own_body` belong to images of exactly `height_px` x `width_px`."""

    name: str
    height_px: int
    width_px: int
    K: Array  # [3, 3]
    T_ego_cam: Array  # [4, 4]
    lens: Lens = field(default_factory=Lens)
    trigger_offset_ms: float = 0.0  # nominal firing time after the frame's first camera
    own_body: NDArray[np.bool_] | None = None  # [H, W], True = the own vehicle
    own_body_polygons_px: Polygons = ()  # outlines (u, v) that `own_body` is filled from where it is not given

    def __post_init__(self) -> None:
        if not self.name:
            raise CalibrationError("a camera has an empty name")
        for key in ("height_px", "width_px"):
            object.__setattr__(self, key, _side_px(self.name, key, getattr(self, key)))
        object.__setattr__(self, "trigger_offset_ms", float(self.trigger_offset_ms))
        object.__setattr__(self, "K", _frozen(self.K, np.float64))
        object.__setattr__(self, "T_ego_cam", _frozen(self.T_ego_cam, np.float64))
        _check_K(self)
        _check_pose(self)
        if not np.isfinite(self.trigger_offset_ms):
            raise CalibrationError(f"{self.name}: trigger_offset_ms is {self.trigger_offset_ms}")
        if self.own_body is None and self.own_body_polygons_px:
            filled = _fill_polygons(self.name, self.own_body_polygons_px, self.height_px, self.width_px)
            object.__setattr__(self, "own_body", filled)
        if self.own_body is not None:
            if self.own_body.shape != (self.height_px, self.width_px):
                raise CalibrationError(
                    f"{self.name}: own_body is {self.own_body.shape}, the image {(self.height_px, self.width_px)}"
                )
            object.__setattr__(self, "own_body", _frozen(self.own_body, np.bool_))

    def with_own_body(self, own_body: NDArray[np.bool_] | None) -> Camera:
        """Return the camera with another own-body mask [H, W], True = own vehicle."""
        return replace(self, own_body=own_body, own_body_polygons_px=())

    @cached_property
    def focal_px(self) -> float:
        """Mean of fx and fy."""
        return float(self.K[0, 0] + self.K[1, 1]) / 2.0

    @cached_property
    def yaw_rad(self) -> float:
        """Direction of the optical axis about ego z: 0 forward, positive to the left."""
        forward = self.T_ego_cam[:3, 2]
        return float(np.arctan2(forward[1], forward[0]))

    @cached_property
    def yaw_limits_rad(self) -> tuple[float, float]:
        """Left and right end of the field of view about ego z at the middle row, relative to `yaw_rad` (left > 0)."""
        columns = np.arange(self.width_px + 1) - 0.5
        row_px = np.stack([columns, np.full_like(columns, (self.height_px - 1) / 2.0)], axis=-1)
        rays = unit_rays(row_px, self.K, self.lens) @ self.T_ego_cam[:3, :3].T
        # A fisheye's image circle may end inside the image: its outermost rays bound the view.
        rays = rays[np.isfinite(rays).all(axis=-1)][[0, -1]]
        yaws = np.arctan2(rays[:, 1], rays[:, 0]) - self.yaw_rad
        left, right = (yaws + np.pi) % (2 * np.pi) - np.pi
        return float(left), float(right)


@dataclass(frozen=True, eq=False)
class Rig:
    """The cameras of one vehicle, in a fixed order that every array with an N axis follows."""

    name: str
    cameras: tuple[Camera, ...]
    source: str = ""  # where the calibration comes from

    def __post_init__(self) -> None:
        if not self.cameras:
            raise CalibrationError(f"rig {self.name!r} has no camera")
        names = [camera.name for camera in self.cameras]
        for name in names:
            if names.count(name) > 1:
                raise CalibrationError(f"rig {self.name!r}: {names.count(name)} cameras are named {name!r}")

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def names(self) -> tuple[str, ...]:
        """Camera names in rig order."""
        return tuple(camera.name for camera in self.cameras)

    @cached_property
    def T_ego_cam(self) -> Array:
        """Poses [N, 4, 4] of the cameras in the ego frame."""
        return _frozen(np.stack([camera.T_ego_cam for camera in self.cameras]), np.float64)

    def index(self, name: str) -> int:
        """Return the place of a camera on the N axis."""
        if name not in self.names:
            raise CalibrationError(f"rig {self.name!r} has no camera {name!r}; it has {', '.join(self.names)}")
        return self.names.index(name)

    def camera(self, name: str) -> Camera:
        """Return the camera of that name."""
        return self.cameras[self.index(name)]

    def select(self, names: tuple[str, ...]) -> Rig:
        """Return the rig of only these cameras, in this order."""
        return replace(self, cameras=tuple(self.camera(name) for name in names))

    def with_cameras(self, cameras: tuple[Camera, ...]) -> Rig:
        """Return the rig with other cameras, for example resized ones."""
        return replace(self, cameras=cameras)

    def ring_order(self) -> tuple[int, ...]:
        """Return camera indices clockwise seen from above, the most forward one second (FL, F, FR, BR, B, BL)."""
        yaws = np.array([camera.yaw_rad for camera in self.cameras])
        front = int(np.argmin(np.abs(yaws)))
        clockwise_from_front = (yaws[front] - yaws) % (2 * np.pi)
        order = [int(i) for i in np.argsort(clockwise_from_front, kind="stable")]
        return tuple(order) if len(order) < 3 else (order[-1], *order[:-1])

    def adjacent_pairs(self) -> tuple[tuple[int, int], ...]:
        """Return index pairs (i, j) of ring neighbours, j clockwise of i, whose fields of view overlap."""
        ring = self.ring_order()
        if len(ring) < 2:
            return ()
        neighbours = list(zip(ring, ring[1:] + ring[:1], strict=True))
        if len(ring) == 2:
            neighbours = neighbours[:1]
        return tuple((i, j) for i, j in neighbours if _overlap(self.cameras[i], self.cameras[j]))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything numeric in the rig: equal when sizes, names and masks are, and calibration to 1e-9."""
        digest = hashlib.sha256()
        for camera in self.cameras:
            facts = [camera.name, camera.height_px, camera.width_px, camera.lens.model, *camera.lens.coefficients]
            digest.update(json.dumps([*facts, camera.trigger_offset_ms]).encode())
            digest.update(for_hash(camera.K).tobytes() + for_hash(camera.T_ego_cam).tobytes())
            digest.update(b"" if camera.own_body is None else np.packbits(camera.own_body).tobytes())
        return digest.hexdigest()


# --- files ------------------------------------------------------------------------------------------------------------


class _Conventions(StrictModel):
    """Written in every rig file so that a reader of the file alone knows what the numbers mean."""

    pixel: Literal["center_of_top_left_is_0_0"] = "center_of_top_left_is_0_0"
    transform: Literal["T_ego_cam"] = "T_ego_cam"
    ego: Literal["x_forward_y_left_z_up"] = "x_forward_y_left_z_up"
    camera: Literal["x_right_y_down_z_forward"] = "x_right_y_down_z_forward"
    length: Literal["m"] = "m"
    rotation: Literal["quaternion_wxyz"] = "quaternion_wxyz"


class _PoseFile(StrictModel):
    translation_m: tuple[float, float, float]
    rotation_wxyz: tuple[float, float, float, float] | None = None
    rotation_matrix: tuple[tuple[float, float, float], ...] | None = None


class _LensFile(StrictModel):
    model: LensModel
    coefficients: tuple[float, ...] = ()


class _CameraFile(StrictModel):
    name: str
    size_px: tuple[int, int]  # height, width
    K: tuple[tuple[float, float, float], ...]
    T_ego_cam: _PoseFile
    lens: _LensFile = _LensFile(model="pinhole")
    trigger_offset_ms: float = 0.0
    own_body_polygons_px: Polygons = ()


class _RigFile(StrictModel):
    name: str
    source: str
    conventions: _Conventions = _Conventions()
    cameras: tuple[_CameraFile, ...]


def load_rig(source: str | Path) -> Rig:
    """Return the rig of a YAML file, or one that ships with the project by its name ("nuscenes", "ddad").

    Raises:
        CalibrationError: names the file, the camera and the key of the first thing that is wrong.
    """
    path = _rig_path(source)
    tree: Any = None
    try:
        tree = read_yaml(path)
        if not isinstance(tree, dict):
            raise CalibrationError(f"{path}: expected a mapping with name, source, cameras")
        parsed = parse_config(_RigFile, tree, path.name)
    except ConfigError as error:
        raise CalibrationError(_with_camera_names(str(error), tree)) from error
    try:
        return Rig(parsed.name, tuple(_camera_of(entry) for entry in parsed.cameras), parsed.source)
    except CalibrationError as error:
        raise CalibrationError(f"{path.name}: {error}") from error


def save_rig(rig: Rig, path: Path) -> None:
    """Write the rig as YAML that `load_rig` reads back equal. Pixel masks are data, not calibration: left out."""
    tree: dict[str, Any] = {
        "name": rig.name,
        "source": rig.source,
        "conventions": _Conventions().model_dump(),
        "cameras": [_camera_tree(camera) for camera in rig.cameras],
    }
    path.write_text(yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120), encoding="utf-8")


def _rig_path(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        return path
    here = Path(__file__).parent
    # In a wheel the rigs lie in the package, in a checkout in the technician's folder calib/.
    folders = [folder for folder in (here / "rigs", here.parent / "calib" / "rigs") if folder.is_dir()]
    shipped = {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
    if str(source) not in shipped:
        raise CalibrationError(
            f"no rig named {str(source)!r}: give a .yaml file or one of {', '.join(sorted(shipped))}"
        )
    return shipped[str(source)]


def _camera_of(entry: _CameraFile) -> Camera:
    height_px, width_px = entry.size_px
    pose = entry.T_ego_cam
    if (pose.rotation_wxyz is None) == (pose.rotation_matrix is None):
        raise CalibrationError(f"{entry.name}: T_ego_cam needs exactly one of rotation_wxyz, rotation_matrix")
    K, R = np.array(entry.K), np.eye(3)
    if K.shape != (3, 3):
        raise CalibrationError(f"{entry.name}: K has shape {K.shape}, expected (3, 3)")
    try:
        if pose.rotation_matrix is not None:
            R = np.array(pose.rotation_matrix)
        elif pose.rotation_wxyz is not None:
            R = quaternion_to_R(pose.rotation_wxyz)
        lens = Lens(entry.lens.model, entry.lens.coefficients)
    except CalibrationError as error:
        raise CalibrationError(f"{entry.name}: {error}") from error
    if R.shape != (3, 3):
        raise CalibrationError(f"{entry.name}: T_ego_cam.rotation_matrix has shape {R.shape}, expected (3, 3)")
    T_ego_cam = rigid(R, pose.translation_m)
    camera = Camera(
        entry.name, height_px, width_px, K, T_ego_cam, lens, entry.trigger_offset_ms, None, entry.own_body_polygons_px
    )
    _check_principal_point(camera)
    return camera


def _camera_tree(camera: Camera) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "name": camera.name,
        "size_px": [camera.height_px, camera.width_px],
        "K": camera.K.tolist(),
        "T_ego_cam": {
            "translation_m": camera.T_ego_cam[:3, 3].tolist(),
            "rotation_wxyz": R_to_quaternion(camera.T_ego_cam[:3, :3]).tolist(),
        },
    }
    if camera.lens != Lens():
        tree["lens"] = {"model": camera.lens.model, "coefficients": list(camera.lens.coefficients)}
    if camera.trigger_offset_ms:
        tree["trigger_offset_ms"] = camera.trigger_offset_ms
    if camera.own_body_polygons_px:
        tree["own_body_polygons_px"] = [[list(corner) for corner in outline] for outline in camera.own_body_polygons_px]
    return tree


def _with_camera_names(message: str, tree: Any) -> str:
    """Replace "cameras.3." in a message by the camera's name where the file gives one."""
    cameras = tree.get("cameras") if isinstance(tree, dict) else None
    if isinstance(cameras, list):
        for i in reversed(range(len(cameras))):
            if isinstance(cameras[i], dict) and isinstance(cameras[i].get("name"), str):
                message = message.replace(f"cameras.{i}.", f"{cameras[i]['name']}.")
    return message


def _fill_polygons(name: str, polygons_px: Polygons, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Return the mask [H, W] of pixels whose centre lies in any polygon of (u, v) corners (even-odd rule)."""
    u, v = np.meshgrid(np.arange(width_px), np.arange(height_px))
    mask = np.zeros((height_px, width_px), dtype=np.bool_)
    for polygon in polygons_px:
        if len(polygon) < 3:
            raise CalibrationError(
                f"{name}: own_body_polygons_px holds an outline of {len(polygon)} corners; it needs 3"
            )
        inside = np.zeros_like(mask)
        for (u0, v0), (u1, v1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            crosses = (v0 > v) != (v1 > v)
            if v0 != v1:
                inside ^= crosses & (u < (u1 - u0) * (v - v0) / (v1 - v0) + u0)
        mask |= inside
    return mask


# --- checks -----------------------------------------------------------------------------------------------------------


def _frozen(array: Any, dtype: Any) -> Any:
    copy = np.array(array, dtype=dtype)
    copy.setflags(write=False)
    return copy


def _side_px(name: str, key: str, value: Any) -> int:
    if not isinstance(value, (int, np.integer)) or not 0 < value <= MAX_IMAGE_SIDE_PX:
        raise CalibrationError(f"{name}: {key} is {value!r}, expected a whole number from 1 to {MAX_IMAGE_SIDE_PX}")
    return int(value)


def _check_K(camera: Camera) -> None:
    K = camera.K
    if K.shape != (3, 3):
        raise CalibrationError(f"{camera.name}: K has shape {K.shape}, expected (3, 3)")
    if not np.isfinite(K).all():
        raise CalibrationError(f"{camera.name}: K holds a value that is not finite: {K.tolist()}")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise CalibrationError(f"{camera.name}: K has focal lengths {K[0, 0]}, {K[1, 1]}; they must be positive")
    if K[1, 0] != 0 or not np.array_equal(K[2], [0.0, 0.0, 1.0]):
        raise CalibrationError(f"{camera.name}: K is not upper triangular with last row 0 0 1: {K.tolist()}")


def _check_principal_point(camera: Camera) -> None:
    """Only a file's camera: a crop may lawfully leave the principal point outside."""
    K = camera.K
    if not (-0.5 <= K[0, 2] <= camera.width_px - 0.5 and -0.5 <= K[1, 2] <= camera.height_px - 0.5):
        raise CalibrationError(
            f"{camera.name}: the principal point ({K[0, 2]:.1f}, {K[1, 2]:.1f}) lies outside the "
            f"{camera.width_px}x{camera.height_px} image; K and size_px do not belong together"
        )


def _check_pose(camera: Camera) -> None:
    T = camera.T_ego_cam
    if T.shape != (4, 4):
        raise CalibrationError(f"{camera.name}: T_ego_cam has shape {T.shape}, expected (4, 4)")
    if not np.isfinite(T).all():
        raise CalibrationError(f"{camera.name}: T_ego_cam holds a value that is not finite")
    R = T[:3, :3]
    if np.abs(R @ R.T - np.eye(3)).max() > _ROTATION_TOLERANCE or np.linalg.det(R) < 0:
        raise CalibrationError(
            f"{camera.name}: T_ego_cam has no proper rotation (det {np.linalg.det(R):+.4f}); "
            "mirrored, scaled or mistyped?"
        )
    if not np.array_equal(T[3], [0.0, 0.0, 0.0, 1.0]):
        raise CalibrationError(f"{camera.name}: the last row of T_ego_cam is {T[3].tolist()}, expected 0 0 0 1")
    distance_m = float(np.linalg.norm(T[:3, 3]))
    if distance_m > MAX_MOUNT_DISTANCE_M:
        raise CalibrationError(
            f"{camera.name}: T_ego_cam lies {distance_m:.1f} m from the ego origin "
            f"(at most {MAX_MOUNT_DISTANCE_M:.0f} m); millimetres instead of metres, or a world pose?"
        )


def _overlap(left: Camera, right: Camera) -> bool:
    """Whether the right end of `left`'s view reaches past the left end of `right`'s, for far points."""
    clockwise_rad = (left.yaw_rad - right.yaw_rad) % (2 * np.pi)
    return bool(-left.yaw_limits_rad[1] + right.yaw_limits_rad[0] > clockwise_rad)
