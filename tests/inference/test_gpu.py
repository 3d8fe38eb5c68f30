"""The questions put to the driver, on a double of libcuda that answers as cuda.h says, and on this very machine."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from surround_depth.inference import gpu
from surround_depth.inference.gpu import Gpu, cuda_device_count, first_gpu, gpu_name


class DoubleDriver:
    """libcuda of one H200; arguments are ctypes objects, as the real library gets them."""

    def __init__(self, n_devices: int = 1) -> None:
        self.n_devices = n_devices

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.n_devices
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:
        device._obj.value = 5
        return 0 if ordinal < self.n_devices else 101  # CUDA_ERROR_INVALID_DEVICE

    def cuDeviceGetName(self, name: ctypes.Array[ctypes.c_char], size: int, device: ctypes.c_int) -> int:
        assert (size, device.value) == (256, 5)
        name.value = b"NVIDIA H200"
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: ctypes.c_int) -> int:
        assert device.value == 5
        value._obj.value = {75: 9, 76: 0}[attribute]  # cuda.h: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
        return 0


def test_name_and_compute_capability_come_from_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_driver", DoubleDriver)
    assert cuda_device_count() == 1
    assert first_gpu() == Gpu("NVIDIA H200", (9, 0))
    assert first_gpu().capability_text == "9.0"  # type: ignore[union-attr]
    assert gpu_name() == "NVIDIA H200"


@pytest.mark.parametrize("driver", [None, DoubleDriver(n_devices=0)])
def test_no_driver_and_no_gpu_are_answers(driver: DoubleDriver | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_driver", lambda: driver)
    assert (cuda_device_count(), first_gpu(), gpu_name()) == (0, None, None)


def test_this_machine_answers_without_a_crash() -> None:
    assert (cuda_device_count() == 0) == (first_gpu() is None)
