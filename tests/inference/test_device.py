"""One contract, two packages: what the backend asks of CUDA, through cuda-bindings and through pycuda, on doubles.

The names are held against the real packages where they are installed.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
from cuda_doubles import GPU, STREAM, DoubleMachine
from host_kernel import fake_cubin

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.inference import cuda_bindings_device, kernel_compiler, pycuda_device
from surround_depth.inference.cuda_memory import MirroredBuffer
from surround_depth.inference.device import Device, DeviceKind, open_device
from surround_depth.inference.gpu_resize import kernel_source

KINDS: tuple[DeviceKind, ...] = get_args(DeviceKind)

# what the contract calls -> what either package calls, and a way to make the contract call it
CALLS: dict[str, tuple[dict[str, str], Callable[[Device, int], Any]]] = {
    "stream": ({"cuda-bindings": "cudaStreamCreateWithFlags", "pycuda": "Stream"}, lambda d, s: d.create_stream()),
    "wait": ({"cuda-bindings": "cudaStreamSynchronize", "pycuda": "Stream.synchronize"}, lambda d, s: d.synchronize(s)),
    "memory": ({"cuda-bindings": "cudaMalloc", "pycuda": "mem_alloc"}, lambda d, s: d.allocate(8)),
    "pinned": ({"cuda-bindings": "cudaMallocHost", "pycuda": "pagelocked_empty"}, lambda d, s: d.allocate_pinned(8)),
    "event": ({"cuda-bindings": "cudaEventCreate", "pycuda": "Event"}, lambda d, s: d.create_event()),
    "up": (
        {"cuda-bindings": "cudaMemcpyAsync", "pycuda": "memcpy_htod_async"},
        lambda d, s: d.upload(d.allocate(8), d.allocate_pinned(8), s),
    ),
    "down": (
        {"cuda-bindings": "cudaMemcpyAsync", "pycuda": "memcpy_dtoh_async"},
        lambda d, s: d.download(d.allocate_pinned(8), d.allocate(8), s),
    ),
    "kernel": (
        {"cuda-bindings": "cuModuleLoadData", "pycuda": "module_from_buffer"},
        lambda d, s: d.make_current() or d.load_kernel(fake_cubin(kernel_source(), "sm_87"), "prepare_images"),
    ),
}


@pytest.fixture(params=KINDS)
def machine(request: pytest.FixtureRequest) -> DoubleMachine:
    return DoubleMachine(request.param)


def test_the_gpu_is_the_one_that_is_worked_on(machine: DoubleMachine) -> None:
    assert machine.open_device().gpu() == GPU


def test_a_call_from_another_thread_works_on_the_same_gpu(machine: DoubleMachine) -> None:
    device = machine.open_device()
    cubin = fake_cubin(kernel_source(), "sm_87")

    def use() -> None:
        device.make_current()
        device.unload_kernel(device.load_kernel(cubin, "prepare_images"))

    with ThreadPoolExecutor(1) as other:
        other.submit(use).result()
    assert not machine.alive


def test_bytes_go_up_and_come_down(machine: DoubleMachine) -> None:
    device = machine.open_device()
    stream = device.create_stream()
    assert stream == STREAM
    sent, pointer, received = device.allocate_pinned(6), device.allocate(6), device.allocate_pinned(6)
    assert (sent.dtype, sent.shape, type(pointer)) == (np.uint8, (6,), int)
    sent[:] = np.arange(6)
    device.upload(pointer, sent, stream)
    device.download(received, pointer, stream)
    device.synchronize(stream)
    assert received.tolist() == [0, 1, 2, 3, 4, 5]
    for host in (sent, received):
        device.free_pinned(host)
    device.free(pointer)
    device.destroy_stream(stream)
    assert not machine.alive


def test_events_measure_the_stream(machine: DoubleMachine) -> None:
    device = machine.open_device()
    stream = device.create_stream()
    events = [device.create_event(), device.create_event()]
    device.record(events[0], stream)
    machine.clock_ms += 2.5
    device.record(events[1], stream)
    assert device.elapsed_ms(*events) == 2.5
    while events:
        device.destroy_event(events.pop())
    device.destroy_stream(stream)
    assert not machine.alive


@pytest.mark.parametrize("what", CALLS)
def test_a_failing_call_is_named_in_cuda_s_own_words(what: str, machine: DoubleMachine) -> None:
    names, call = CALLS[what]
    device = machine.open_device()
    stream = device.create_stream()
    machine.fail = names[machine.kind]
    with pytest.raises(EngineMismatchError, match=f"{machine.fail} failed: .*out of memory"):
        call(device, stream)


def test_a_mirrored_buffer_is_one_tensor_in_two_places(machine: DoubleMachine) -> None:
    device = machine.open_device()
    stream = device.create_stream()
    with MirroredBuffer(device, (2, 3), np.dtype(np.float32)) as buffer:
        buffer.host[:] = [[1, 2, 3], [4, 5, 6]]
        buffer.upload(stream)
        buffer.host[:] = 0
        buffer.download(stream)
        assert buffer.host.tolist() == [[1, 2, 3], [4, 5, 6]]
        buffer.close()  # and once more on leaving
    device.destroy_stream(stream)
    assert not machine.alive


def test_a_mirrored_buffer_gives_back_its_half(machine: DoubleMachine) -> None:
    machine.fail = {"cuda-bindings": "cudaMalloc", "pycuda": "mem_alloc"}[machine.kind]
    with pytest.raises(EngineMismatchError, match="out of memory"):
        MirroredBuffer(machine.open_device(), (2,), np.dtype(np.float32))
    assert not machine.alive


def test_what_a_graph_caught_runs_when_it_is_launched() -> None:
    machine = DoubleMachine("cuda-bindings")
    device = machine.open_device()
    stream, ran = device.create_stream(), []
    graph = device.capture(stream, lambda: machine.submit(lambda: ran.append("work")))
    assert ran == []
    device.launch_graph(graph, stream)
    device.launch_graph(graph, stream)
    assert ran == ["work", "work"]
    device.destroy_graph(graph)
    device.destroy_stream(stream)
    assert not machine.alive


def test_a_failed_capture_leaves_the_stream_usable() -> None:
    machine = DoubleMachine("cuda-bindings")
    device = machine.open_device()
    stream = device.create_stream()

    def refuse() -> None:
        raise EngineMismatchError("cannot be captured")

    with pytest.raises(EngineMismatchError, match="cannot be captured"):
        device.capture(stream, refuse)
    assert machine.captured is None
    assert machine.calls[-1] == "cudaGetLastError"  # TensorRT would take the error for its own


def test_pycuda_says_that_it_has_no_graphs() -> None:
    device = DoubleMachine("pycuda").open_device()
    with pytest.raises(EngineMismatchError, match=r"no CUDA graphs; device='cuda-bindings' does"):
        device.capture(STREAM, lambda: None)


def test_a_context_is_never_made_for_pycuda() -> None:
    machine = DoubleMachine("pycuda")
    machine.context = None
    with pytest.raises(EngineMismatchError, match="no pycuda context is current in this thread; push yours"):
        machine.open_device()
    machine.context = object()
    device = machine.open_device()
    machine.context = None  # as in a thread that the host did not push it in
    with pytest.raises(EngineMismatchError, match="push yours in the thread that opens and runs the engine"):
        device.make_current()
    used = names_used(r"self\._driver\.(\w+)", pycuda_device)
    assert not used & {"init", "make_context", "autoinit", "retain_primary_context"}


@pytest.mark.parametrize(
    "kind, module, message",
    [("cuda-bindings", "cuda.bindings", "pip install cuda-bindings"), ("pycuda", "pycuda", "pip install pycuda")],
)
def test_a_package_that_is_missing_is_named(
    kind: DeviceKind, module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=message):
        open_device(kind)


def names_used(pattern: str, *modules: ModuleType) -> set[str]:
    return {name for module in modules for name in re.findall(pattern, inspect.getsource(module))}


def test_every_cuda_name_exists_in_the_real_bindings() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    driver = pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    adapter = cuda_bindings_device
    for library, names, at_least in (
        (runtime, names_used(r'"(cuda[A-Z]\w+)"', adapter) | names_used(r"_runtime\.(cuda\w+)", adapter), 20),
        (driver, names_used(r'"(cu[A-Z]\w+)"', adapter) | names_used(r"_driver\.([cC][uU]\w+)", adapter), 6),
        (nvrtc, names_used(r"\bnvrtc\.(nvrtc\w+)", kernel_compiler), 8),
    ):
        assert len(names) >= at_least
        assert not [name for name in names if not hasattr(library, name)]


def test_every_pycuda_name_exists_in_the_real_package() -> None:
    try:
        from pycuda import driver
    except ImportError as error:
        pytest.skip(f"pycuda does not load here: {error}")
    assert not [name for name in names_used(r"self\._driver\.(\w+)", pycuda_device) if not hasattr(driver, name)]
    assert hasattr(driver.Event, "time_since")
    assert hasattr(driver.Stream, "handle")
