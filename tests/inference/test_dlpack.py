"""The capsule by its bytes, as dlpack.h lays them out, and really read: by numpy and by torch, from host memory."""

from __future__ import annotations

import ctypes
import gc
import resource
import struct
from typing import Any

import numpy as np
import pytest

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.dlpack import DeviceTensor, DeviceType

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def tensor(
    values: np.ndarray = VALUES, device: tuple[DeviceType, int] = (DeviceType.CPU, 0), current: bool = True
) -> DeviceTensor:
    return DeviceTensor(values.ctypes.data, values.shape, values.dtype, device, lambda: current)


def address_of(capsule: Any) -> int:
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return int(prototype(ctypes.cast(get_pointer, ctypes.c_void_p).value)(capsule, b"dltensor"))


@pytest.mark.parametrize("values, code", [(VALUES, 2), (VALUES.astype(np.uint8), 1)])
def test_the_capsule_s_fields_lie_as_dlpack_h_says(values: np.ndarray, code: int) -> None:
    capsule = tensor(values, (DeviceType.CUDA, 3)).__dlpack__(stream=1)
    raw = ctypes.string_at(address_of(capsule), 64)
    # void* data; {int32 type, int32 id} device; int32 ndim; {uint8 code, uint8 bits, uint16 lanes} dtype;
    # int64* shape; int64* strides; uint64 byte_offset; void* manager_ctx; void (*deleter)(DLManagedTensor*)
    data, device_type, device_id, ndim, type_code, bits, lanes, shape, strides, offset, context, deleter = (
        struct.unpack("=QiiiBBHQQQQQ", raw)
    )
    assert data == values.ctypes.data
    assert (device_type, device_id, ndim) == (2, 3, 3)
    assert (type_code, bits, lanes) == (code, 8 * values.itemsize, 1)
    assert list((ctypes.c_int64 * 3).from_address(shape)) == [2, 3, 4]
    assert list((ctypes.c_int64 * 3).from_address(strides)) == [12, 4, 1]  # in elements
    assert (offset, context) == (0, 0)
    assert deleter != 0


def test_numpy_reads_it_without_a_copy() -> None:
    values = VALUES.copy()
    read = np.from_dlpack(tensor(values))
    np.testing.assert_array_equal(read, values)
    values[0, 0, 0] = 99.0
    assert read[0, 0, 0] == 99.0
    assert np.from_dlpack(tensor(values.astype(np.uint8))).dtype == np.uint8


def test_torch_reads_it_without_a_copy() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    values = VALUES.copy()
    read = torch.from_dlpack(tensor(values))
    values[1, 2, 3] = -1.0
    assert read[1, 2, 3].item() == -1.0
    assert tuple(read.shape) == (2, 3, 4)


def test_where_it_lies_is_said_and_kept() -> None:
    on_gpu = tensor(device=(DeviceType.CUDA, 1))
    assert on_gpu.__dlpack_device__() == (2, 1)
    with pytest.raises(BufferError, match="stays where it is"):
        on_gpu.__dlpack__(dl_device=(1, 0))
    with pytest.raises(BufferError, match="stays where it is"):
        on_gpu.__dlpack__(copy=True)
    assert on_gpu.__dlpack__(dl_device=(2, 1), copy=False, max_version=(1, 0)) is not None


def test_a_consumer_that_refuses_it_says_so() -> None:
    with pytest.raises((BufferError, RuntimeError), match="device"):  # numpy reads host memory alone
        np.from_dlpack(tensor(device=(DeviceType.CUDA, 0)))


def test_an_overwritten_tensor_is_refused() -> None:
    with pytest.raises(EngineMismatchError, match="the engine has run since"):
        np.from_dlpack(tensor(current=False))


def test_nothing_is_left_behind() -> None:
    def use(n: int) -> None:
        for _ in range(n):
            np.from_dlpack(tensor())

    use(20_000)
    gc.collect()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    use(60_000)  # of about 150 bytes each: 9 MB if they stayed
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 4096
