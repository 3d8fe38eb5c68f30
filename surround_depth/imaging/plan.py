"""How recorded images become network inputs: pixels, K, masks and labels of a camera all follow one plan.

Each camera is scaled by one factor until it covers the network input, then cropped: the excess width on both sides, the
excess height off the top, where a street has sky. Training may frame otherwise: nearer, shifted, mirrored. Lenses are
kept: the network sees rays, so nothing is undistorted.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError
from surround_depth.frame import Image
from surround_depth.geometry import ray_grid
from surround_depth.imaging.decode import decode_image
from surround_depth.imaging.mirroring import mirrored_camera
from surround_depth.imaging.resize import Taps, resize_into, resize_taps
from surround_depth.imaging.windowing import windowed_camera
from surround_depth.rig import Camera, Rig
from surround_depth.window import ImageWindow

NETWORK_STRIDE_PX = 32  # the coarsest feature map of every student
RAY_STRIDE_PX = 8  # one ray of the engine's input per cell
ONE_SURFACE_RATIO = 1.1

Scalar = TypeVar("Scalar", bound=np.generic)


class InputSpec(StrictModel):
    """What an engine wants to see. The resize kernel is part of it: another kernel is another input."""

    height_px: int
    width_px: int
    kernel: Literal["area"] = "area"

    def model_post_init(self, _: object) -> None:
        for key, value in (("height_px", self.height_px), ("width_px", self.width_px)):
            if value <= 0 or value % NETWORK_STRIDE_PX:
                raise ConfigError(f"input {key} is {value}; it must be a positive multiple of {NETWORK_STRIDE_PX}")


def parse_size(option: str, text: str) -> InputSpec:
    """Return the input of "HxW", as the command line option named `option` got it.

    Raises:
        ConfigError: another form, or sides that are no positive multiples of the network's stride.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise ConfigError(f"{option} {text!r}: write height x width, for example 256x448")
    return InputSpec(height_px=int(height), width_px=int(width))


@dataclass(frozen=True)
class Framing:
    """What part of the recorded picture the network sees, and from which side. The default is the engine's.

    Raises:
        ConfigError: a zoom below 1 (the picture would not cover the input), or a shift outside 0 to 1.
    """

    zoom: float = 1.0
    """Times the scale at which the picture just covers the input: the focal length grows with it."""
    shift: tuple[float, float] = (0.5, 1.0)
    """Share of the excess width cut off the left of the recorded picture, and of the excess height off its top."""
    mirrored: bool = False
    """The picture is flipped left to right, and the camera is the mirrored vehicle's; see `imaging.mirroring`."""

    def __post_init__(self) -> None:
        if not 1.0 <= self.zoom < float("inf"):
            raise ConfigError(
                f"framing: zoom is {self.zoom}; it must be at least 1, where the picture covers the input"
            )
        if not all(0.0 <= share <= 1.0 for share in self.shift):
            raise ConfigError(f"framing: shift is {self.shift}; both shares must lie between 0 and 1")


ENGINE_FRAMING = Framing()


@dataclass(frozen=True, eq=False)
class ImagePlan:
    """How one camera's image becomes one network input: decode, resize to `resized_*`, cut [top, left] away, flip."""

    camera: Camera  # as recorded
    spec: InputSpec
    resized_height_px: int
    resized_width_px: int
    top_px: int
    left_px: int
    mirrored: bool = False

    @cached_property
    def window(self) -> ImageWindow:
        """Where the network's pixels lie over the recorded image; of a mirrored plan, over the recorded image flipped.

        Turn values of a mirrored plan back with `values[:, ::-1]`; they then lie under `window.mirrored()`.
        """
        recorded = self._recorded_window
        return recorded.mirrored() if self.mirrored else recorded

    @cached_property
    def _recorded_window(self) -> ImageWindow:
        return ImageWindow(
            self.camera.height_px,
            self.camera.width_px,
            self.resized_height_px,
            self.resized_width_px,
            self.top_px,
            self.left_px,
            self.spec.height_px,
            self.spec.width_px,
        )

    @cached_property
    def network_camera(self) -> Camera:
        """The camera of the network's image: K and own-body mask mapped; lens and pose are kept, or mirrored."""
        cropped = windowed_camera(self.camera, self._recorded_window)
        return mirrored_camera(cropped) if self.mirrored else cropped

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the RGB network input [H, W, 3] of one recorded image."""
        resized = resize_into(self.decode(image), self._recorded_window)
        # cv2.flip: numpy turns three bytes per pixel around twenty times slower
        return np.asarray(cv2.flip(resized, 1), np.uint8) if self.mirrored else np.ascontiguousarray(resized)

    def decode(self, image: Image) -> NDArray[np.uint8]:
        """Return the RGB picture [h, w, 3] that `prepare` resizes: as recorded, or a JPEG decoded smaller."""
        return decode_image(image, self.camera, self.resized_height_px, self.resized_width_px)

    def taps(self, height_px: int, width_px: int) -> tuple[Taps, Taps]:
        """Return what `prepare` weighs of a decoded picture of this size; see `imaging.resize.resize_taps`."""
        rows, (start, weights) = resize_taps(height_px, width_px, self._recorded_window)
        return rows, (start[::-1], weights[::-1]) if self.mirrored else (start, weights)

    def sample_nearest(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return `values` [H_i, W_i] of the recorded image at the source pixel nearest to each network pixel [H, W]."""
        return self._turn(self._pick_nearest(values))

    def sample_depth(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return dense depth [H_i, W_i] of the recorded image at the centre of each network pixel [H, W].

        Inverse depth is linear over a plane, so it is interpolated where the four source pixels around a centre lie on
        one surface (within 10 %); across an edge, and beside NaN, the nearest pixel is picked: never a depth between
        two things. Picking everywhere would be off by up to half a source pixel, 2 % on a grazing road.
        """
        rows, columns = self._source_positions()
        top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
        bottom, right = (top + 1).clip(max=self.camera.height_px - 1), (left + 1).clip(max=self.camera.width_px - 1)
        corners = np.stack([depth_m[y[:, None], x] for y in (top, bottom) for x in (left, right)])
        v, u = (rows - top)[:, None], columns - left
        weights = np.stack([(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u])
        with np.errstate(invalid="ignore", divide="ignore"):
            one_surface = corners.max(axis=0) <= ONE_SURFACE_RATIO * corners.min(axis=0)  # False beside NaN
            interpolated = 1.0 / (weights / corners).sum(axis=0)
        sampled_m = np.where(one_surface, interpolated, self._pick_nearest(depth_m)).astype(np.float32)
        return self._turn(sampled_m)

    def _pick_nearest(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        rows, columns = self._source_positions()
        return np.asarray(values[(rows + 0.5).astype(int)[:, None], (columns + 0.5).astype(int)])

    def _source_positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the recorded image's rows [H] and columns [W] under the network pixels' centres, before any flip."""
        camera = self.camera
        scale_y, scale_x = camera.height_px / self.resized_height_px, camera.width_px / self.resized_width_px
        rows = (np.arange(self.spec.height_px) + self.top_px + 0.5) * scale_y - 0.5
        columns = (np.arange(self.spec.width_px) + self.left_px + 0.5) * scale_x - 0.5
        return rows.clip(0, camera.height_px - 1), columns.clip(0, camera.width_px - 1)

    def _turn(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """The last step, so that a mirrored plan gives to the bit the flipped values of its twin."""
        return np.ascontiguousarray(values[:, ::-1]) if self.mirrored else values


@dataclass(frozen=True, eq=False)
class ImagePlans:
    """The plans of a whole rig: made once, used for every frame."""

    rig: Rig  # as recorded
    spec: InputSpec
    plans: tuple[ImagePlan, ...]

    @cached_property
    def network_rig(self) -> Rig:
        """The rig at network resolution: the cameras that the depth is expressed in."""
        return self.rig.with_cameras(tuple(plan.network_camera for plan in self.plans))

    @cached_property
    def rays(self) -> NDArray[np.float32]:
        """Unit camera-frame rays [N, H/8, W/8, 3] through the centres of 8-pixel cells: the engine's lens input.

        Where a lens has no ray (the corners outside a fisheye's image circle) the entry is the zero vector.
        """
        grids = [
            ray_grid(camera.height_px, camera.width_px, camera.K, camera.lens, RAY_STRIDE_PX)
            for camera in self.network_rig.cameras
        ]
        return np.nan_to_num(np.stack(grids), nan=0.0).astype(np.float32)

    @cached_property
    def pixel_rays(self) -> NDArray[np.float64]:
        """Unit camera-frame rays [N, H, W, 3] of every network pixel; NaN where the lens has none."""
        return np.stack(
            [ray_grid(camera.height_px, camera.width_px, camera.K, camera.lens) for camera in self.network_rig.cameras]
        )

    @cached_property
    def own_body(self) -> NDArray[np.bool_]:
        """Own-vehicle mask [N, H, W] at network resolution; False where a camera has none."""
        blank = np.zeros((self.spec.height_px, self.spec.width_px), dtype=np.bool_)
        return np.stack([blank if c.own_body is None else c.own_body for c in self.network_rig.cameras])

    def prepare(self, images: tuple[Image | None, ...], pool: Executor | None = None) -> NDArray[np.uint8]:
        """Return the network's images [N, H, W, 3] RGB; a missing image is black (and must be marked invalid).

        With a `pool` of threads the cameras are prepared side by side, to the same bytes.
        """
        prepared = np.zeros((len(self.plans), self.spec.height_px, self.spec.width_px, 3), dtype=np.uint8)
        jobs = zip(prepared, self.plans, images, strict=True)
        for _ in (pool.map if pool else map)(_fill_slot, jobs):
            pass  # the first damaged camera raises here
        return prepared


def _fill_slot(job: tuple[NDArray[np.uint8], ImagePlan, Image | None]) -> None:
    slot, plan, image = job
    if image is not None:
        slot[:] = plan.prepare(image)


def plan_images(rig: Rig, spec: InputSpec, framing: Framing = ENGINE_FRAMING) -> ImagePlans:
    """Return how every camera of `rig` is brought to the network's input size, all framed alike."""
    return ImagePlans(rig, spec, tuple(plan_image(camera, spec, framing) for camera in rig.cameras))


def plan_image(camera: Camera, spec: InputSpec, framing: Framing = ENGINE_FRAMING) -> ImagePlan:
    """Return the cover-and-crop plan of one camera."""
    scale = max(spec.height_px / camera.height_px, spec.width_px / camera.width_px) * framing.zoom
    height_px = max(spec.height_px, round(camera.height_px * scale))
    width_px = max(spec.width_px, round(camera.width_px * scale))
    left_share, top_share = framing.shift
    top_px = int((height_px - spec.height_px) * top_share)
    left_px = int((width_px - spec.width_px) * left_share)
    return ImagePlan(camera, spec, height_px, width_px, top_px, left_px, framing.mirrored)
