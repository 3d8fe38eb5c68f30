"""Tensors that stay on the GPU, handed to other libraries without a copy: the DLPack protocol, by ctypes alone.

`torch.from_dlpack(tensor)` and `cupy.from_dlpack(tensor)` read one. The layout is dlpack.h's DLManagedTensor, the
capsule the one every consumer takes ("dltensor"). The memory belongs to the engine, so giving a tensor back frees only
its description, by C code that needs no interpreter.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from surround_depth.errors import EngineMismatchError

_NAME = b"dltensor"  # a consumer renames the capsule when it takes the tensor over
_TYPE_CODES = {"u": 1, "f": 2}  # kDLUInt, kDLFloat


class DeviceType(IntEnum):
    """DLDeviceType of dlpack.h, as far as it occurs here."""

    CPU = 1
    CUDA = 2


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("type_code", ctypes.c_uint8),
        ("type_bits", ctypes.c_uint8),
        ("type_lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class DLManagedTensor(ctypes.Structure):
    """What the capsule points to."""

    _fields_ = (("tensor", _DLTensor), ("manager_context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


@dataclass(frozen=True, eq=False)
class DeviceTensor:
    """A C-contiguous tensor in memory of the engine, complete when it is returned.

    It is valid until the engine's next frame overwrites it, or the engine is closed: read or copy it before, and wait
    for the stream that reads it. Handing it on later is refused; what was handed on earlier nobody can take back.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    device: tuple[DeviceType, int]
    is_current: Callable[[], bool]

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return (DLDeviceType, ordinal of the device)."""
        return int(self.device[0]), self.device[1]

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Return the capsule. Its content is complete, whatever `stream` will read it; consumers call this.

        Raises:
            BufferError: another device or a copy is asked for.
            EngineMismatchError: the engine has run another frame since, or is closed.
        """
        if not self.is_current():
            raise EngineMismatchError(
                "this tensor is overwritten: the engine has run since, or is closed; copy earlier"
            )
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError("the tensor stays where it is: take it without a copy, then copy it")
        return _capsule(self)


def _prototype(name: str, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new_capsule = _prototype("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_allocate = _prototype("PyMem_RawMalloc", ctypes.c_void_p, ctypes.c_size_t)
_DELETER = ctypes.cast(ctypes.pythonapi.PyMem_RawFree, ctypes.c_void_p)  # may be called by any thread, at any time


def _capsule(tensor: DeviceTensor) -> Any:
    """Return the capsule; who reads it frees its description.

    It has no destructor: one in Python would run while the exception of a consumer that refuses it is set, and lose it.
    Of a capsule that nobody reads some hundred bytes therefore stay.
    """
    n_axes = len(tensor.shape)
    axes = ctypes.c_int64 * n_axes
    strides = [int(np.prod(tensor.shape[axis + 1 :])) for axis in range(n_axes)]
    # one block: the description, then its shape, then its strides, so that one free gives everything back
    address = _allocate(ctypes.sizeof(DLManagedTensor) + 2 * ctypes.sizeof(axes))
    if not address:
        raise MemoryError
    shape_at = address + ctypes.sizeof(DLManagedTensor)
    strides_at = shape_at + ctypes.sizeof(axes)
    for at, values in ((shape_at, tensor.shape), (strides_at, strides)):
        ctypes.memmove(at, axes(*values), ctypes.sizeof(axes))
    managed = DLManagedTensor.from_address(address)
    managed.tensor = _DLTensor(
        data=tensor.pointer,
        device_type=tensor.device[0],
        device_id=tensor.device[1],
        ndim=n_axes,
        type_code=_TYPE_CODES[tensor.dtype.kind],
        type_bits=8 * tensor.dtype.itemsize,
        type_lanes=1,
        shape=ctypes.cast(shape_at, ctypes.POINTER(ctypes.c_int64)),
        strides=ctypes.cast(strides_at, ctypes.POINTER(ctypes.c_int64)),
        byte_offset=0,
    )
    managed.manager_context = None
    managed.deleter = _DELETER
    return _new_capsule(address, _NAME, None)
