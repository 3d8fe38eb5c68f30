"""The TensorRT runtime as far as a machine without a GPU can prove it: refusals, names, the flow on a double of CUDA.

The double moves real bytes between real addresses, so a swapped pointer, a missing copy or a wrong size shows; what it
cannot show is a GPU. The names are held against the real tensorrt_rtx (and cuda-bindings, where installed).
"""

from __future__ import annotations

import ctypes
import inspect
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_engine import SPEC, tiny_inputs

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.export import tensorrt_build
from surround_depth.inference import cuda_graph, cuda_memory, tensorrt_backend, tensorrt_library
from surround_depth.inference.latency import DeviceTimes
from surround_depth.inference.manifest import TensorRTRecord
from surround_depth.inference.tensorrt_backend import TensorRTBackend

RECORD = TensorRTRecord(library="tensorrt", version="11.4", gpu_name="Double GPU", flags=())


class DoubleCuda:
    """`cuda.bindings.runtime` on host memory: every call returns (status, values...), as the real one does."""

    cudaStreamNonBlocking = 1
    cudaError_t = SimpleNamespace(cudaSuccess=0)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, fail: str = "") -> None:
        self.fail = fail
        self.alive: dict[int, Any] = {}
        self.calls: list[str] = []
        self.captured: list[Callable[[], None]] | None = None  # while a capture is open: the work it has caught
        self.clock_ms = 0.0

    def __getattr__(self, call: str) -> Any:
        def run(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(call)
            return (2,) if call == self.fail else (0, *getattr(self, f"_{call}")(*arguments))

        if call.startswith("cuda") and hasattr(type(self), f"_{call}"):
            return run
        raise AttributeError(call)

    def cudaGetErrorString(self, status: int) -> tuple[int, bytes]:
        return 0, b"out of memory"

    def cudaGetLastError(self) -> tuple[int]:
        self.calls.append("cudaGetLastError")
        return (0,)

    def submit(self, work: Callable[[], None]) -> None:
        """What a stream does with work: run it, or, while a capture is open, catch it without running it."""
        if self.captured is None:
            work()
        else:
            self.captured.append(work)

    def _cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[()]:
        assert (stream, mode, self.captured) == (77, 1, None)
        self.captured = []
        return ()

    def _cudaStreamEndCapture(self, stream: int) -> tuple[Any]:
        assert stream == 77
        assert self.captured is not None
        graph, self.captured = tuple(self.captured), None
        return (graph,)

    def _cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[int]:
        assert flags == 0
        return self._keep(graph)

    def _cudaGraphDestroy(self, graph: Any) -> tuple[()]:
        return ()

    def _cudaGraphLaunch(self, executable: int, stream: int) -> tuple[()]:
        assert stream == 77
        for work in self.alive[executable]:
            work()
        return ()

    def _cudaEventCreate(self) -> tuple[int]:
        return self._keep([])

    def _cudaEventRecord(self, event: int, stream: int) -> tuple[()]:
        assert stream == 77
        self.alive[event] = [self.clock_ms]
        return ()

    def _cudaEventElapsedTime(self, start: int, end: int) -> tuple[float]:
        return (self.alive[end][0] - self.alive[start][0],)

    def _keep(self, thing: Any) -> tuple[int]:
        handle = len(self.calls)  # grows with every call, and is no address of a buffer
        self.alive[handle] = thing
        return (handle,)

    def _cudaMalloc(self, n_bytes: int) -> tuple[int]:
        memory = (ctypes.c_uint8 * n_bytes)()
        self.alive[ctypes.addressof(memory)] = memory
        return (ctypes.addressof(memory),)

    _cudaMallocHost = _cudaMalloc

    def _cudaFree(self, pointer: int) -> tuple[()]:
        del self.alive[pointer]
        return ()

    _cudaFreeHost = _cudaEventDestroy = _cudaGraphExecDestroy = _cudaFree

    def _cudaMemcpyAsync(self, target: int, source: int, n_bytes: int, kind: int, stream: int) -> tuple[()]:
        assert stream == 77
        assert n_bytes == len(self.alive[target]) == len(self.alive[source])
        ctypes.memmove(target, source, n_bytes)
        self.clock_ms += 0.5
        return ()

    def _cudaStreamCreateWithFlags(self, flags: int) -> tuple[int]:
        assert flags == self.cudaStreamNonBlocking
        return (77,)

    def _cudaStreamSynchronize(self, stream: int) -> tuple[()]:
        return ()

    _cudaStreamDestroy = _cudaStreamSynchronize


class DoubleTensorRT:
    """A TensorRT whose only plan computes depth = 1 + mean(RGB) / 4 and confidence = camera_valid / 2."""

    __version__ = "11.4"
    ILogger = type("ILogger", (), {"__init__": lambda self: None})
    shapes = SPEC.input_shapes() | SPEC.output_shapes()
    runs = True
    captures = True

    def __init__(self, cuda: DoubleCuda) -> None:
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
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: engine if plan == b"plan" else None)

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
        assert stream == 77
        if self.runs and (self.captures or self.cuda.captured is None):
            self.cuda.submit(self.compute)
            return True
        return False

    def compute(self) -> None:
        self.view("depth_m")[:] = 1 + self.view("images").mean(axis=-1, dtype=np.float32) / 4
        self.view("confidence")[:] = self.view("camera_valid")[:, None, None] / 2
        self.cuda.clock_ms += 7.0


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> DoubleCuda:
    double = DoubleCuda()
    monkeypatch.setattr(tensorrt_backend, "load_cudart", lambda: double)
    monkeypatch.setattr(tensorrt_backend, "load_tensorrt", lambda kind: DoubleTensorRT(double))
    monkeypatch.setattr(tensorrt_backend, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(tensorrt_backend, "gpu_name", lambda: "Double GPU")
    return double


def open_double(record: TensorRTRecord | None = RECORD, plan: bytes = b"plan") -> TensorRTBackend:
    return TensorRTBackend(plan, SPEC, kind="tensorrt", build=record)


def test_a_frame_goes_to_the_device_and_back(cuda: DoubleCuda) -> None:
    with open_double() as backend:
        first = backend.infer(tiny_inputs(seed=1))
        kept = first.depth_m.copy()
        second = tiny_inputs(seed=2)
        outputs = backend.infer(second)
        assert len(cuda.alive) == 12 + 4 + 1  # six tensors, pinned and on the device; four events; one graph
    np.testing.assert_array_equal(first.depth_m, kept)
    np.testing.assert_allclose(outputs.depth_m, 1 + second.images.mean(axis=-1) / 4, rtol=1e-6)
    np.testing.assert_array_equal(outputs.confidence[:, 0, 0], [0.5, 0.0])
    assert not cuda.alive
    assert cuda.calls.count("cudaStreamDestroy") == 1
    with pytest.raises(EngineMismatchError, match="closed"):
        backend.infer(second)


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaMallocHost", "cudaStreamCreateWithFlags", "cudaEventCreate"])
def test_a_failing_call_is_named_and_leaves_nothing_behind(call: str, cuda: DoubleCuda) -> None:
    cuda.fail = call
    with pytest.raises(EngineMismatchError, match=f"{call} failed: out of memory"):
        open_double()
    assert not cuda.alive


def test_the_plan_is_captured_once_after_a_warm_up_and_then_launched(cuda: DoubleCuda) -> None:
    with open_double() as backend:
        opening = [call for call in cuda.calls if call.startswith(("cudaStream", "cudaGraph"))]
        assert opening == [
            "cudaStreamCreateWithFlags",
            "cudaStreamSynchronize",  # the warm-up has ended
            "cudaStreamBeginCapture",
            "cudaStreamEndCapture",
            "cudaGraphInstantiate",
            "cudaGraphDestroy",
        ]
        assert cuda.clock_ms == 7.0  # the warm-up ran; what was captured did not
        cuda.calls.clear()
        backend.infer(tiny_inputs())
    upload, download = ["cudaMemcpyAsync"] * 4, ["cudaMemcpyAsync"] * 2
    event = ["cudaEventRecord"]
    frame = [*event, *upload, *event, "cudaGraphLaunch", *event, *download, *event, "cudaStreamSynchronize"]
    assert cuda.calls[: len(frame)] == frame
    assert cuda.calls[len(frame)] == "cudaGraphExecDestroy"  # before the buffers whose addresses it holds


def test_the_stages_of_the_last_frame_are_timed_on_the_device(cuda: DoubleCuda) -> None:
    with open_double() as backend:
        backend.infer(tiny_inputs())
        # a copy of the double takes 0.5 ms, its plan 7 ms
        assert backend.last_times() == DeviceTimes(upload_ms=2.0, engine_ms=7.0, download_ms=1.0)
    with pytest.raises(EngineMismatchError, match="closed"):
        backend.last_times()


@pytest.mark.parametrize("obstacle", ["the plan", "cudaStreamBeginCapture", "cudaGraphInstantiate"])
def test_what_cannot_be_captured_runs_uncaptured_and_says_so(
    obstacle: str, cuda: DoubleCuda, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if obstacle == "the plan":
        monkeypatch.setattr(DoubleTensorRT, "captures", False)
    else:
        cuda.fail = obstacle
    with open_double() as backend:
        assert "kernel by kernel" in caplog.text
        assert cuda.captured is None  # no capture was left open
        inputs = tiny_inputs()
        np.testing.assert_allclose(backend.infer(inputs).depth_m, 1 + inputs.images.mean(axis=-1) / 4, rtol=1e-6)
    assert "cudaGraphLaunch" not in cuda.calls
    assert not cuda.alive


def test_a_library_that_captures_by_itself_is_asked_to(cuda: DoubleCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    strategies = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")
    monkeypatch.setattr(DoubleTensorRT, "CudaGraphStrategy", strategies, raising=False)
    library = DoubleTensorRT(cuda)
    monkeypatch.setattr(tensorrt_backend, "load_tensorrt", lambda kind: library)
    with open_double() as backend:
        backend.infer(tiny_inputs())
    assert library.config.cuda_graph_strategy == "whole"
    assert not [call for call in cuda.calls if "Capture" in call]


def test_a_plan_that_does_not_run_is_an_error(cuda: DoubleCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DoubleTensorRT, "runs", False)
    with pytest.raises(EngineMismatchError, match="did not run"):
        open_double()
    assert not cuda.alive


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"version": "10.7"}, r"built by tensorrt 10.7, this host has 11.4; rebuild .* --engine tensorrt"),
        ({"gpu_name": "Orin"}, r"built for 'Orin', this GPU is 'Double GPU'; rebuild"),
    ],
)
def test_another_host_is_refused_before_deserialising(
    changes: dict[str, str], complaint: str, cuda: DoubleCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(DoubleTensorRT, "Runtime")
    with pytest.raises(EngineMismatchError, match=complaint):
        open_double(RECORD.model_copy(update=changes))


def test_a_plan_with_other_contents_is_refused(cuda: DoubleCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineMismatchError, match="refuses the plan"):
        open_double(plan=b"something else")
    monkeypatch.setattr(DoubleTensorRT, "shapes", DoubleTensorRT.shapes | {"rays": (2, 64, 96, 3)})
    with pytest.raises(EngineMismatchError, match="the plan's 'rays' is"):
        open_double()


def test_no_gpu_is_said_before_the_library_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")
    monkeypatch.setattr(tensorrt_backend, "cuda_device_count", lambda: 0)
    record = TensorRTRecord(library="tensorrt_rtx", version=rtx.__version__, gpu_name=None, flags=())
    with pytest.raises(EngineMismatchError, match=r"runs on an NVIDIA GPU and the driver offers none.*onnxruntime"):
        TensorRTBackend(b"never read", SPEC, kind="tensorrt_rtx", build=record)


def test_a_missing_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    with pytest.raises(MissingDependencyError, match="pip install tensorrt ") as caught:
        tensorrt_library.load_tensorrt("tensorrt")
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings", None)
    with pytest.raises(MissingDependencyError, match="cuda-bindings"):
        cuda_memory.load_cudart()


def names_used(pattern: str, *modules: Any) -> set[str]:
    return {name for module in modules for name in re.findall(pattern, inspect.getsource(module))}


def test_every_tensorrt_name_exists_in_the_real_library() -> None:
    rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")
    names = names_used(r"\btrt\.([A-Za-z_0-9.]+)", tensorrt_backend, tensorrt_library, tensorrt_build)
    assert {"Builder", "OnnxParser", "Runtime", "nptype"} <= {name.split(".")[0] for name in names}
    for name in names:
        found = rtx
        for part in name.split("."):
            assert hasattr(found, part), f"tensorrt_rtx {rtx.__version__} has no {name}"
            found = getattr(found, part)
    for owner, used in {
        rtx.ICudaEngine: names_used(r"\bengine\.([a-z_0-9]+)", tensorrt_backend),
        rtx.IExecutionContext: names_used(r"_context\.([a-z_0-9]+)", tensorrt_backend),
        rtx.IRuntimeConfig: names_used(r"\bconfig\.([a-z_0-9]+)", tensorrt_backend),
        rtx.IBuilderConfig: names_used(r"\bconfig\.([a-z_0-9]+)", tensorrt_build),
    }.items():
        assert used
        assert all(hasattr(owner, name) for name in used), (owner, used)


def test_every_cuda_name_exists_in_the_real_bindings() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    modules = (cuda_memory, cuda_graph)
    names = names_used(r'"(cuda[A-Z]\w+)"', *modules) | names_used(r"_?cudart\.(cuda\w+)", *modules)
    assert len(names) > 18
    assert not [name for name in names if not hasattr(runtime, name)]
