"""A tensor that exists once on the host (pinned) and once on the GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.closing import Closing
from surround_depth.errors import EngineMismatchError
from surround_depth.inference.device import Device


class MirroredBuffer(Closing):
    """One tensor in pinned host memory (`.host`, a numpy array) and in device memory (`.pointer`, its address).

    Raises:
        EngineMismatchError: one of the two memories is not to be had; the other is given back.
    """

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._device = device
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        self._bytes: NDArray[np.uint8] | None = device.allocate_pinned(n_bytes)
        try:
            self.pointer = device.allocate(n_bytes)
        except EngineMismatchError:
            device.free_pinned(self._bytes)
            raise
        self.host: NDArray[Any] = self._bytes.view(dtype).reshape(shape)

    def upload(self, stream: int) -> None:
        """Queue the copy host to device."""
        assert self._bytes is not None, "closed"
        self._device.upload(self.pointer, self._bytes, stream)

    def download(self, stream: int) -> None:
        """Queue the copy device to host; read `.host` after the stream has been synchronised."""
        assert self._bytes is not None, "closed"
        self._device.download(self._bytes, self.pointer, stream)

    def close(self) -> None:
        """Free both copies and drop `.host`: no view of it may be used afterwards."""
        if self._bytes is not None:
            del self.host
            self._device.free(self.pointer)
            self._device.free_pinned(self._bytes)
            self._bytes = None
