"""From bytes to pixels: JPEG and PNG decoding that refuses what is damaged or not of the camera's size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.frame import EncodedImage, Image, check_image
from surround_depth.rig import Camera

_JPEG_MAGIC = b"\xff\xd8"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_DCT_FACTORS = (8, 4, 2)


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
            image.data,
            colorspace="RGB",
            min_height=height_px // factor,
            min_width=width_px // factor,
            min_factor=1,
            # Colour is stored at half size: repeating it instead of smoothing it saves a sixth of the decode and moves
            # a street's picture, once it is shrunk to 360 x 640, by 0.07 grey levels in the mean.
            fastupsample=True,
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
