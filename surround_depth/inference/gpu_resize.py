"""Resize and crop on the GPU: one kernel for all cameras, from decoded pictures to the engine's own `images`.

The kernel weighs what `imaging` says (`ImagePlan.taps`), in its arithmetic; `prepare_images.cu` holds it. Calibration
decides the taps, so they go up once per camera and picture size, not per frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from surround_depth.closing import Closing
from surround_depth.errors import DataError, EngineMismatchError
from surround_depth.imaging import ImagePlan, ImagePlans
from surround_depth.inference.backend import require_calibration
from surround_depth.inference.cuda_memory import MirroredBuffer
from surround_depth.inference.device import Device
from surround_depth.inference.kernel_compiler import compiled

_KERNEL = "prepare_images"
_BLOCK = (32, 8, 1)
_BYTES = np.dtype(np.uint8)
# struct Picture of prepare_images.cu
_PICTURE = np.dtype(
    [
        *((name, np.uint64) for name in ("pixels", "row_start", "row_weight", "column_start", "column_weight")),
        *((name, np.int32) for name in ("row_bytes", "n_row_taps", "n_column_taps")),
    ],
    align=True,
)


class DevicePicture(Protocol):
    """A decoded picture in device memory, uint8 [h, w, 3], complete: its producer's stream has been waited for.

    cupy, numba, pycuda and torch arrays are such; their memory belongs to the context of the engine.
    """

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


Picture = NDArray[np.uint8] | DevicePicture


@cache
def kernel_source() -> str:
    """Return the CUDA C source of the kernel."""
    return (files("surround_depth.inference") / "prepare_images.cu").read_text(encoding="utf-8")


class GpuResizer(Closing):
    """Brings the pictures of one rig to the network's size on the GPU; its engine closes it if nobody else does.

    Args:
        device: where the engine lives.
        plans: how each camera's picture becomes the network's.
        n_slots: cameras of the engine; those beyond the rig's see black.

    Raises:
        EngineMismatchError: the kernel does not compile or load, or memory is short.
        MissingDependencyError: the kernel has to be compiled and NVRTC is not installed.
    """

    def __init__(self, device: Device, plans: ImagePlans, n_slots: int) -> None:
        self.plans = plans
        self.n_slots = n_slots
        self._device = device
        self._kernel: Any = None
        self._table: MirroredBuffer | None = None
        self._taps: dict[tuple[int, int, int], _DeviceTaps] = {}  # by camera and picture size
        self._staging: dict[tuple[int, int, int], MirroredBuffer] = {}
        cubin = compiled(kernel_source(), device.gpu())
        self._kernel = device.load_kernel(cubin, _KERNEL)
        try:
            self._table = MirroredBuffer(device, (n_slots,), _PICTURE)
        except EngineMismatchError:
            self.close()
            raise

    @property
    def is_closed(self) -> bool:
        """Whether its memory has been given back."""
        return self._table is None

    def queue(self, pictures: Sequence[Picture | None], images: MirroredBuffer, stream: int) -> None:
        """Queue all that turns the rig's pictures into `images` [n_slots, H, W, 3] on the device; None gives black.

        Pictures on the host are copied to pinned memory first, one while the one before is under way to the device.
        What was queued before has to be done: its pinned memory is used again.

        Raises:
            DataError: a picture is not uint8 RGB of its camera's size, or of a half, a quarter or an eighth of it.
            EngineMismatchError: it is closed, or the GPU fails.
        """
        if self._table is None:
            raise EngineMismatchError("this resizer is closed; make another of the open engine")
        # all sizes first: after an error nothing is under way
        live = {i: picture for i, picture in enumerate(pictures) if picture is not None}
        sizes = {i: _checked_size(self.plans.plans[i], picture) for i, picture in live.items()}
        self._table.host[:] = np.zeros((), _PICTURE)
        for index, picture in live.items():
            self._table.host[index] = self._entry(index, picture, sizes[index], stream)
        self._table.upload(stream)
        height, width = self.plans.spec.height_px, self.plans.spec.width_px
        grid = (-(-width // _BLOCK[0]), -(-height // _BLOCK[1]), self.n_slots)
        addresses = np.uint64(self._table.pointer), np.uint64(images.pointer)
        self._device.launch_kernel(self._kernel, grid, _BLOCK, (*addresses, np.int32(height), np.int32(width)), stream)

    def close(self) -> None:
        """Free the kernel and its memory; a second call does nothing."""
        if self._kernel is None:
            return
        self._device.make_current()  # whoever lets go of a pipeline last may be another thread
        for buffer in chain(self._taps.values(), self._staging.values()):
            buffer.close()
        self._taps.clear()
        self._staging.clear()
        if self._table is not None:
            self._table.close()
            self._table = None
        self._device.unload_kernel(self._kernel)
        self._kernel = None

    def _entry(self, index: int, picture: Picture, size_px: tuple[int, int], stream: int) -> tuple[int, ...]:
        """Return the camera's `struct Picture`, its pixels and taps on the way to the device."""
        height_px, width_px = size_px
        key = (index, height_px, width_px)
        if key not in self._taps:
            self._taps[key] = _DeviceTaps(self._device, self.plans.plans[index], height_px, width_px, stream)
        taps = self._taps[key]
        if isinstance(picture, np.ndarray):
            if key not in self._staging:
                self._staging[key] = MirroredBuffer(self._device, picture.shape, _BYTES)
            staging = self._staging[key]
            np.copyto(staging.host, picture)
            staging.upload(stream)
            return staging.pointer, *taps.addresses, 3 * width_px, *taps.counts
        interface = picture.__cuda_array_interface__
        strides = interface.get("strides")
        row_bytes = strides[0] if strides else 3 * width_px
        return int(interface["data"][0]), *taps.addresses, row_bytes, *taps.counts


@dataclass(frozen=True, eq=False)
class RawInputs:
    """One frame whose pictures are still the cameras' own: the engine resizes them on its GPU; checked once, here.

    Raises:
        EngineMismatchError: calibration of another shape or type, another number of pictures than the resizer's rig has
            cameras, or a camera called valid without a picture.
    """

    pictures: tuple[Picture | None, ...]  # of the rig's cameras, decoded: RGB uint8 [h, w, 3], on the host or the GPU
    resizer: GpuResizer
    rays: np.ndarray  # float32 [N, H/8, W/8, 3], N the engine's cameras
    T_ego_cam: np.ndarray  # float32 [N, 4, 4]
    camera_valid: np.ndarray  # float32 [N]

    def __post_init__(self) -> None:
        spec = self.resizer.plans.spec
        sizes = (self.resizer.n_slots, spec.height_px, spec.width_px)
        require_calibration(self.rays, self.T_ego_cam, self.camera_valid, sizes)
        plans = self.resizer.plans.plans
        if len(self.pictures) != len(plans):
            raise EngineMismatchError(f"{len(self.pictures)} pictures for the {len(plans)} cameras of the rig")
        for plan, picture, valid in zip(plans, self.pictures, self.camera_valid, strict=False):
            if valid and picture is None:
                raise EngineMismatchError(f"{plan.camera.name}: called valid but has no picture")


class _DeviceTaps(Closing):
    """The taps of one camera for one picture size, side by side in one memory."""

    def __init__(self, device: Device, plan: ImagePlan, height_px: int, width_px: int, stream: int) -> None:
        rows, columns = plan.taps(height_px, width_px)
        self.counts = rows[1].shape[1], columns[1].shape[1]
        tables = [
            np.ascontiguousarray(table, dtype).view(np.uint8).ravel()
            for start, weights in (rows, columns)
            for table, dtype in ((start, np.int32), (weights, np.float32))
        ]
        ends = np.cumsum([table.size for table in tables])
        self._buffer = MirroredBuffer(device, (int(ends[-1]),), _BYTES)
        self._buffer.host[:] = np.concatenate(tables)
        self._buffer.upload(stream)
        self.addresses = tuple(self._buffer.pointer + int(begin) for begin in (0, *ends[:-1]))

    def close(self) -> None:
        self._buffer.close()


def _checked_size(plan: ImagePlan, picture: Picture) -> tuple[int, int]:
    """Return (height_px, width_px) of a picture that is the camera's, as recorded or decoded smaller."""
    camera = plan.camera
    if isinstance(picture, np.ndarray):
        shape, kind, strides = picture.shape, picture.dtype.str, None
    else:
        interface = picture.__cuda_array_interface__
        shape, kind, strides = tuple(interface["shape"]), interface["typestr"], interface.get("strides")
    sizes = [(camera.height_px // f, camera.width_px // f, 3) for f in (1, 2, 4, 8)]
    packed = strides is None or tuple(strides[1:]) == (3, 1)
    if kind != "|u1" or shape not in sizes or not packed:
        raise DataError(
            f"{camera.name}: the GPU resizes uint8 RGB [{camera.height_px}, {camera.width_px}, 3], or a JPEG decoded "
            f"to a half, a quarter or an eighth of it, with packed pixels; got {kind} {list(shape)}, strides {strides}"
        )
    return int(shape[0]), int(shape[1])
