"""The only decode, resize and crop of the project. A plan moves pixels and K together, so they cannot drift apart.

Each camera is scaled by one factor until it covers the network input, then cropped: the excess width on both sides, the
excess height off the top, where a street has sky. Lenses are kept: the network sees rays, so nothing is undistorted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError, DataError
from surround_depth.frame import EncodedImage, Image, check_image
from surround_depth.geometry import cropped_K, ray_grid, resized_K
from surround_depth.rig import Camera, Rig
from surround_depth.window import ImageWindow

NETWORK_STRIDE_PX = 32  # the coarsest feature map of every student
RAY_STRIDE_PX = 8  # one ray of the engine's input per cell
_JPEG_MAGIC = b"\xff\xd8"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_DCT_FACTORS = (8, 4, 2)
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


@dataclass(frozen=True, eq=False)
class ImagePlan:
    """How one camera's image becomes one network input: decode, resize to `resized_*`, cut [top, left] away."""

    camera: Camera  # as recorded
    spec: InputSpec
    resized_height_px: int
    resized_width_px: int
    top_px: int
    left_px: int

    @cached_property
    def window(self) -> ImageWindow:
        """Where the network's pixels lie over the recorded image."""
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
        """The camera of the network's image: same lens and pose, K and own-body mask mapped."""
        camera, spec = self.camera, self.spec
        scaled_K = resized_K(
            camera.K, self.resized_width_px / camera.width_px, self.resized_height_px / camera.height_px
        )
        own_body = None if camera.own_body is None else self._cover_mask(camera.own_body)
        return replace(
            camera,
            height_px=spec.height_px,
            width_px=spec.width_px,
            K=cropped_K(scaled_K, self.left_px, self.top_px),
            own_body=own_body,
            own_body_polygons_px=(),
        )

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the RGB network input [H, W, 3] of one recorded image."""
        decoded = decode_image(image, self.camera, self.resized_height_px, self.resized_width_px)
        resized = _resize(decoded, self.resized_height_px, self.resized_width_px)
        return np.ascontiguousarray(self._crop(resized))

    def sample_nearest(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return `values` [H_i, W_i] of the recorded image at the source pixel nearest to each network pixel [H, W]."""
        rows, columns = self._source_positions()
        return np.asarray(values[(rows + 0.5).astype(int)[:, None], (columns + 0.5).astype(int)])

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
        return np.where(one_surface, interpolated, self.sample_nearest(depth_m)).astype(np.float32)

    def _source_positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the rows [H] and columns [W] of the recorded image that lie under the network pixels' centres."""
        camera = self.camera
        scale_y, scale_x = camera.height_px / self.resized_height_px, camera.width_px / self.resized_width_px
        rows = (np.arange(self.spec.height_px) + self.top_px + 0.5) * scale_y - 0.5
        columns = (np.arange(self.spec.width_px) + self.left_px + 0.5) * scale_x - 0.5
        return rows.clip(0, camera.height_px - 1), columns.clip(0, camera.width_px - 1)

    def _crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return image[self.top_px : self.top_px + self.spec.height_px, self.left_px : self.left_px + self.spec.width_px]

    def _cover_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A network pixel touches the own body when any pixel under it does."""
        covered = cv2.resize(
            mask.astype(np.float32), (self.resized_width_px, self.resized_height_px), interpolation=cv2.INTER_AREA
        )
        return np.asarray(self._crop(covered) > 1e-6)


@dataclass(frozen=True, eq=False)
class ImagePlans:
    """The plans of a whole rig: made once, used for every frame."""

    rig: Rig
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

    def prepare(self, images: tuple[Image | None, ...]) -> NDArray[np.uint8]:
        """Return the network's images [N, H, W, 3] RGB; a missing image is black (and must be marked invalid)."""
        prepared = np.zeros((len(self.plans), self.spec.height_px, self.spec.width_px, 3), dtype=np.uint8)
        for slot, plan, image in zip(prepared, self.plans, images, strict=True):
            if image is not None:
                slot[:] = plan.prepare(image)
        return prepared


def plan_images(rig: Rig, spec: InputSpec) -> ImagePlans:
    """Return how every camera of `rig` is brought to the network's input size."""
    return ImagePlans(rig, spec, tuple(plan_image(camera, spec) for camera in rig.cameras))


def plan_image(camera: Camera, spec: InputSpec) -> ImagePlan:
    """Return the cover-and-crop plan of one camera."""
    scale = max(spec.height_px / camera.height_px, spec.width_px / camera.width_px)
    height_px = max(spec.height_px, round(camera.height_px * scale))
    width_px = max(spec.width_px, round(camera.width_px * scale))
    return ImagePlan(camera, spec, height_px, width_px, height_px - spec.height_px, (width_px - spec.width_px) // 2)


def read_encoded(path: Path) -> EncodedImage:
    """Return the bytes of an image file, not decoded yet.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    try:
        return EncodedImage(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path}: the image cannot be read: {error.strerror}") from error


def decode_image(image: Image, camera: Camera, min_height_px: int, min_width_px: int) -> NDArray[np.uint8]:
    """Return RGB [h, w, 3] of at least the asked size.

    A JPEG is decoded at 1/2, 1/4 or 1/8 where the factor divides its size and leaves at least twice the asked size, so
    that the area resize still decides what the network sees: a camera's live array and its JPEG look the same.

    Raises:
        DataError: not a JPEG or PNG, damaged or truncated, or not of the camera's recorded size.
    """
    if isinstance(image, np.ndarray):
        check_image(image, camera.height_px, camera.width_px, camera.name)
        return image
    if image.data.startswith(_JPEG_MAGIC):
        return _decode_jpeg(image, camera, min_height_px, min_width_px)
    if image.data.startswith(_PNG_MAGIC):
        return _decode_png(image, camera)
    raise DataError(f"{image.source}: neither JPEG nor PNG (starts with {image.data[:4].hex()})")


def encode_jpeg(image: NDArray[np.uint8], quality: int = 92) -> bytes:
    """Return RGB [H, W, 3] as JPEG bytes, 4:2:0; the same pixels give the same bytes."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality, colorspace="RGB"))


def _decode_jpeg(image: EncodedImage, camera: Camera, min_height_px: int, min_width_px: int) -> NDArray[np.uint8]:
    try:
        height_px, width_px, _, _ = simplejpeg.decode_jpeg_header(image.data)
        _check_size(image.source, camera, height_px, width_px)
        factor = next((f for f in _DCT_FACTORS if _exact(f, height_px, width_px, min_height_px, min_width_px)), 1)
        decoded = simplejpeg.decode_jpeg(
            image.data, colorspace="RGB", min_height=height_px // factor, min_width=width_px // factor, min_factor=1
        )
    except ValueError as error:
        raise DataError(f"{image.source}: damaged or truncated JPEG: {error}; copy the file again") from error
    if decoded.shape[:2] != (height_px // factor, width_px // factor):
        raise DataError(
            f"{image.source}: decoded to {decoded.shape[:2]}, expected {(height_px // factor, width_px // factor)}"
        )
    return np.asarray(decoded, dtype=np.uint8)


def _exact(factor: int, height_px: int, width_px: int, min_height_px: int, min_width_px: int) -> bool:
    """A reduced decode keeps the corners only where the factor divides the size, the content only well above it."""
    divides = height_px % factor == 0 and width_px % factor == 0
    return divides and height_px // factor >= 2 * min_height_px and width_px // factor >= 2 * min_width_px


def _decode_png(image: EncodedImage, camera: Camera) -> NDArray[np.uint8]:
    # The size stands in the header: a bomb is refused before it unfolds.
    width_px, height_px = (int.from_bytes(image.data[at : at + 4], "big") for at in (16, 20))
    _check_size(image.source, camera, height_px, width_px)
    # Calibration knows the sensor's rows, not the way somebody wants the picture turned.
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(image.data, np.uint8), flags)
    if decoded is None:
        raise DataError(f"{image.source}: damaged or truncated PNG; copy the file again")
    return np.asarray(decoded, dtype=np.uint8)


def _check_size(source: str, camera: Camera, height_px: int, width_px: int) -> None:
    if (height_px, width_px) != (camera.height_px, camera.width_px):
        raise DataError(
            f"{source}: {width_px}x{height_px} pixels, but {camera.name} is calibrated for "
            f"{camera.width_px}x{camera.height_px}"
        )


def _resize(image: NDArray[np.uint8], height_px: int, width_px: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (height_px, width_px):
        return image
    shrinks = image.shape[0] >= height_px and image.shape[1] >= width_px
    # AREA averages every source pixel; bilinear would alias fine texture when shrinking.
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width_px, height_px), interpolation=kernel), dtype=np.uint8)
