"""A double of TensorRT on the double of a GPU: one plan, whose result is known by heart."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_doubles import STREAM, DoubleMachine
from host_kernel import fake_cubin
from tiny_engine import SPEC

from surround_depth.inference import kernel_compiler, tensorrt_backend, tensorrt_plan
from surround_depth.inference.device import DeviceKind
from surround_depth.inference.manifest import TensorRTRecord
from surround_depth.inference.tensorrt_backend import TensorRTBackend

RECORD = TensorRTRecord(library="tensorrt", version="11.4", gpu_name="Double GPU", flags=())


class DoubleTensorRT:
    """A TensorRT whose only plan computes depth = 1 + mean(RGB) / 4 and confidence = camera_valid / 2."""

    __version__ = "11.4"
    ILogger = type("ILogger", (), {"__init__": lambda self: None})
    shapes = SPEC.input_shapes() | SPEC.output_shapes()
    runs = True
    captures = True

    def __init__(self, cuda: DoubleMachine) -> None:
        self.cuda = cuda

    @staticmethod
    def nptype(dtype: str) -> str:
        return dtype

    def Runtime(self, logger: Any) -> Any:
        self.addresses: dict[str, int] = {}
        engine = SimpleNamespace(
            num_io_tensors=len(self.shapes),
            get_tensor_name=lambda index: list(self.shapes)[index],
            get_tensor_shape=lambda name: self.shapes[name],
            get_tensor_dtype=lambda name: "uint8" if name == "images" else "float32",
            create_runtime_config=lambda: SimpleNamespace(cuda_graph_strategy="DISABLED"),
            create_execution_context=self.create_execution_context,
        )
        self.runtime = SimpleNamespace(engine_host_code_allowed=False)

        def deserialize(plan: bytes) -> Any:
            readable = plan == b"plan" or (plan == b"with a lean runtime" and self.runtime.engine_host_code_allowed)
            return engine if readable else None

        self.runtime.deserialize_cuda_engine = deserialize
        return self.runtime

    def create_execution_context(self, config: Any = None) -> Any:
        self.config = config
        return SimpleNamespace(set_tensor_address=self.set_tensor_address, execute_async_v3=self.execute)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def view(self, name: str) -> np.ndarray:
        dtype = np.dtype(np.uint8 if name == "images" else np.float32)
        size = int(np.prod(self.shapes[name]))
        memory = (ctypes.c_uint8 * (size * dtype.itemsize)).from_address(self.addresses[name])
        return np.frombuffer(memory, dtype).reshape(self.shapes[name])

    def execute(self, stream: int) -> bool:
        assert stream == STREAM
        if self.runs and (self.captures or self.cuda.captured is None):
            self.cuda.submit(self.compute)
            return True
        return False

    def compute(self) -> None:
        self.view("depth_m")[:] = 1 + self.view("images").mean(axis=-1, dtype=np.float32) / 4
        self.view("confidence")[:] = self.view("camera_valid")[:, None, None] / 2
        self.cuda.clock_ms += 7.0


def double_machine(kind: DeviceKind, monkeypatch: pytest.MonkeyPatch) -> DoubleMachine:
    """Put a double in the place of the GPU, of its package and of TensorRT."""
    machine = DoubleMachine(kind)
    monkeypatch.setattr(tensorrt_backend, "open_device", lambda asked: machine.open_device())
    monkeypatch.setattr(tensorrt_backend, "load_tensorrt", lambda kind: DoubleTensorRT(machine))
    monkeypatch.setattr(tensorrt_plan, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(kernel_compiler, "nvrtc_cubin", fake_cubin)
    return machine


def open_double(record: TensorRTRecord | None = RECORD, plan: bytes = b"plan") -> TensorRTBackend:
    return TensorRTBackend(plan, SPEC, kind="tensorrt", build=record)
