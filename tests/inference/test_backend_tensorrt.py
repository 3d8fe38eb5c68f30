"""The TensorRT runtime as far as a machine without a GPU can prove it: refusals, names, the flow on a double of CUDA.

The double moves real bytes between real addresses, so a swapped pointer, a missing copy or a wrong size shows; what it
cannot show is a GPU. The names are held against the real tensorrt_rtx (and cuda-bindings, where installed).
"""

from __future__ import annotations

import hashlib
import inspect
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from box_world import make_camera
from cuda_doubles import DoubleMachine
from host_kernel import host_kernel
from tensorrt_double import RECORD, DoubleTensorRT, double_machine, open_double
from tiny_engine import SPEC, tiny_inputs, write_tiny_engine

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.export import tensorrt_build
from surround_depth.imaging import ImagePlans, InputSpec, plan_images
from surround_depth.inference import tensorrt_backend, tensorrt_library, tensorrt_plan
from surround_depth.inference.backend import open_backend
from surround_depth.inference.device import DeviceKind
from surround_depth.inference.dlpack import DeviceTensor, DeviceType
from surround_depth.inference.engine_slots import EngineSlots
from surround_depth.inference.gpu import Gpu
from surround_depth.inference.gpu_resize import RawInputs
from surround_depth.inference.latency import DeviceTimes
from surround_depth.inference.manifest import VERSION_COMPATIBLE, TensorRTRecord
from surround_depth.inference.tensorrt_backend import TensorRTBackend
from surround_depth.rig import Rig


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> DoubleMachine:
    """A machine behind cuda-bindings."""
    return double_machine("cuda-bindings", monkeypatch)


@pytest.fixture(params=get_args(DeviceKind))
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DoubleMachine:
    """A machine behind cuda-bindings, and behind pycuda."""
    return double_machine(request.param, monkeypatch)


def alive(machine: DoubleMachine) -> list[str]:
    return sorted(what for what, _ in machine.alive.values())


def test_a_frame_goes_to_the_device_and_back(either: DoubleMachine) -> None:
    with open_double() as backend:
        first = backend.infer(tiny_inputs(seed=1))
        kept = first.depth_m.copy()
        second = tiny_inputs(seed=2)
        outputs = backend.infer(second)
        graphs = ["graph"] if either.kind == "cuda-bindings" else []
        assert alive(either) == [*["device"] * 6, *["event"] * 4, *graphs, *["pinned"] * 6, "stream"]
    np.testing.assert_array_equal(first.depth_m, kept)
    np.testing.assert_allclose(outputs.depth_m, 1 + second.images.mean(axis=-1) / 4, rtol=1e-6)
    np.testing.assert_array_equal(outputs.confidence[:, 0, 0], [0.5, 0.0])
    assert not either.alive
    with pytest.raises(EngineMismatchError, match="closed"):
        backend.infer(second)


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaMallocHost", "cudaStreamCreateWithFlags", "cudaEventCreate"])
def test_a_failing_call_is_named_and_leaves_nothing_behind(call: str, cuda: DoubleMachine) -> None:
    cuda.fail = call
    with pytest.raises(EngineMismatchError, match=f"{call} failed: out of memory"):
        open_double()
    assert not cuda.alive


def test_the_plan_is_captured_once_after_a_warm_up_and_then_launched(cuda: DoubleMachine) -> None:
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
    frame = [
        "cudaSetDevice",
        *event,
        *upload,
        *event,
        "cudaGraphLaunch",
        *event,
        *download,
        *event,
        "cudaStreamSynchronize",
    ]
    assert cuda.calls[: len(frame)] == frame
    assert cuda.calls[len(frame)] == "cudaGraphExecDestroy"  # before the buffers whose addresses it holds


def test_the_stages_of_the_last_frame_are_timed_on_the_device(either: DoubleMachine) -> None:
    with open_double() as backend:
        backend.infer(tiny_inputs())
        # a copy of the double takes 0.5 ms, its plan 7 ms
        assert backend.last_times() == DeviceTimes(upload_ms=2.0, engine_ms=7.0, download_ms=1.0)
    with pytest.raises(EngineMismatchError, match="closed"):
        backend.last_times()


@pytest.mark.parametrize("obstacle", ["the plan", "cudaStreamBeginCapture", "cudaGraphInstantiate"])
def test_what_cannot_be_captured_runs_uncaptured_and_says_so(
    obstacle: str, cuda: DoubleMachine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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


def test_a_library_that_captures_by_itself_is_asked_to(cuda: DoubleMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    strategies = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")
    monkeypatch.setattr(DoubleTensorRT, "CudaGraphStrategy", strategies, raising=False)
    library = DoubleTensorRT(cuda)
    monkeypatch.setattr(tensorrt_backend, "load_tensorrt", lambda kind: library)
    with open_double() as backend:
        backend.infer(tiny_inputs())
    assert library.config.cuda_graph_strategy == "whole"
    assert not [call for call in cuda.calls if "Capture" in call]


def test_a_plan_that_does_not_run_is_an_error(cuda: DoubleMachine, monkeypatch: pytest.MonkeyPatch) -> None:
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
    changes: dict[str, str], complaint: str, cuda: DoubleMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(DoubleTensorRT, "Runtime")
    with pytest.raises(EngineMismatchError, match=complaint):
        open_double(RECORD.model_copy(update=changes))


def test_the_device_is_the_one_that_was_asked_for(cuda: DoubleMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[DeviceKind] = []
    monkeypatch.setattr(tensorrt_backend, "open_device", lambda kind: asked.append(kind) or cuda.open_device())
    TensorRTBackend(b"plan", SPEC, kind="tensorrt", build=RECORD, device="pycuda").close()
    TensorRTBackend(b"plan", SPEC, kind="tensorrt", build=RECORD).close()
    assert asked == ["pycuda", "cuda-bindings"]


def write_plan(folder: Path, **record: Any) -> Path:
    """Write the tiny engine as a TensorRT plan, whose bytes the double reads."""
    plan = b"with a lean runtime"
    file = {"name": "model.plan", "sha256": hashlib.sha256(plan).hexdigest(), "n_bytes": len(plan)}
    written = RECORD.model_dump(mode="json") | record
    write_tiny_engine(folder, engine="tensorrt", plan=file, tensorrt=written)
    (folder / "model.plan").write_bytes(plan)
    return folder


def test_open_backend_hands_on_the_device_and_takes_a_portable_plan(
    either: DoubleMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[DeviceKind] = []
    monkeypatch.setattr(tensorrt_backend, "open_device", lambda kind: asked.append(kind) or either.open_device())
    portable = write_plan(tmp_path / "portable", version="11.1", flags=[VERSION_COMPATIBLE])
    with open_backend(portable, device=either.kind) as backend:
        assert backend.infer(tiny_inputs()).depth_m.shape == (2, 64, 96)
    assert asked == [either.kind]
    with pytest.raises(EngineMismatchError, match=r"built by tensorrt 11\.1, this host has 11\.4; rebuild"):
        open_backend(write_plan(tmp_path / "bound", version="11.1"))


def test_pycuda_runs_kernel_by_kernel_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    double_machine("pycuda", monkeypatch)
    with open_double() as backend:
        assert backend.runs_as == "kernel by kernel"
        assert "pycuda offers no CUDA graphs" in caplog.text


def test_outputs_stay_on_the_device_until_the_next_frame(either: DoubleMachine) -> None:
    inputs = tiny_inputs(seed=3)
    with open_double() as backend:
        outputs = backend.infer_on_device(inputs)
        assert outputs.depth_m.__dlpack_device__() == (DeviceType.CUDA, 1)
        read = np.from_dlpack(on_host(outputs.depth_m))
        np.testing.assert_allclose(read, 1 + inputs.images.mean(axis=-1) / 4, rtol=1e-6)
        np.testing.assert_array_equal(np.from_dlpack(on_host(outputs.confidence))[:, 0, 0], [0.5, 0.0])
        np.testing.assert_array_equal(np.from_dlpack(on_host(outputs.images)), inputs.images)
        assert backend.last_times() == DeviceTimes(upload_ms=2.0, engine_ms=7.0, download_ms=0.0)
        later = backend.infer_on_device(inputs)
        with pytest.raises(EngineMismatchError, match="the engine has run since"):
            outputs.depth_m.__dlpack__()
        assert later.depth_m.__dlpack__() is not None
    with pytest.raises(EngineMismatchError, match="or is closed"):
        later.depth_m.__dlpack__()


def on_host(tensor: DeviceTensor) -> DeviceTensor:
    """The double's device memory is the host's: the same tensor, called what it is here."""
    return replace(tensor, device=(DeviceType.CPU, 0))


def raw_rig() -> Rig:
    return Rig("raw", (make_camera("A", 0.0, height_px=200, width_px=300), make_camera("B", 90.0, 121, 194)))


def raw_frame(backend: TensorRTBackend, seed: int) -> tuple[ImagePlans, RawInputs]:
    """Two cameras of different sizes; the second is dead."""
    rig = raw_rig()
    plans = plan_images(rig, SPEC.input)
    picture = np.random.default_rng(seed).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    slots = EngineSlots(SPEC, plans.rays, rig)
    return plans, slots.fill_raw((picture, None), np.array([True, False]), backend.resizer(plans))


def test_raw_pictures_are_resized_on_the_device(either: DoubleMachine) -> None:
    host_kernel()  # skips where there is no compiler
    with open_double() as backend:
        plans, inputs = raw_frame(backend, seed=7)
        expected = plans.prepare(inputs.pictures)  # type: ignore[arg-type]
        inferred = backend.infer_raw(inputs)
        np.testing.assert_array_equal(inferred.images, expected)
        np.testing.assert_allclose(inferred.outputs.depth_m, 1 + expected.mean(axis=-1) / 4, rtol=1e-6)
        kept = backend.infer_on_device(inputs)
        np.testing.assert_array_equal(np.from_dlpack(on_host(kept.images)), expected)
        np.testing.assert_array_equal(
            backend.infer(tiny_inputs()).depth_m[0], 1 + tiny_inputs().images[0].mean(axis=-1, dtype=np.float32) / 4
        )
    assert not either.alive  # the resizer went with the engine


def test_raw_inputs_of_another_engine_or_without_a_picture_are_refused(cuda: DoubleMachine) -> None:
    host_kernel()
    with open_double() as backend:
        _, inputs = raw_frame(backend, seed=8)
        with pytest.raises(EngineMismatchError, match="A: called valid but has no picture"):
            replace(inputs, pictures=(None, None))
        with pytest.raises(EngineMismatchError, match="'rays': expected shape"):
            replace(inputs, rays=inputs.rays[:1])
        with pytest.raises(EngineMismatchError, match="1 pictures for the 2 cameras"):
            replace(inputs, pictures=inputs.pictures[:1])
        with pytest.raises(EngineMismatchError, match="plans are for 128x96 and the engine for 64x96"):
            backend.resizer(plan_images(raw_rig(), InputSpec(height_px=128, width_px=96)))
    with pytest.raises(EngineMismatchError, match="closed"):
        backend.resizer(plan_images(raw_rig(), SPEC.input))
    with open_double() as other, pytest.raises(EngineMismatchError, match="another engine's"):
        other.infer_raw(inputs)


def test_a_plan_with_other_contents_is_refused(cuda: DoubleMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineMismatchError, match="refuses the plan"):
        open_double(plan=b"something else")
    monkeypatch.setattr(DoubleTensorRT, "shapes", DoubleTensorRT.shapes | {"rays": (2, 64, 96, 3)})
    with pytest.raises(EngineMismatchError, match="the plan's 'rays' is"):
        open_double()


@pytest.mark.parametrize("version", ["11.0", "11.3.0.12", "11.4"])
def test_a_version_compatible_plan_runs_on_later_versions(version: str, cuda: DoubleMachine) -> None:
    record = RECORD.model_copy(update={"version": version, "flags": (VERSION_COMPATIBLE,)})
    with open_double(record, plan=b"with a lean runtime") as backend:  # which carries host code of its own
        assert backend.infer(tiny_inputs()).depth_m.shape == (2, 64, 96)


@pytest.mark.parametrize(
    "version, flags", [("11.3", ()), ("11.5", (VERSION_COMPATIBLE,)), ("10.13", (VERSION_COMPATIBLE,))]
)
def test_other_versions_are_refused_all_the_same(version: str, flags: tuple[str, ...], cuda: DoubleMachine) -> None:
    with pytest.raises(EngineMismatchError, match=rf"built by tensorrt {version}.*this host has 11.4; rebuild"):
        open_double(RECORD.model_copy(update={"version": version, "flags": flags}))


def test_host_code_stays_forbidden_in_every_other_plan(cuda: DoubleMachine) -> None:
    with pytest.raises(EngineMismatchError, match="refuses the plan"):
        open_double(plan=b"with a lean runtime")


def test_tensorrt_rtx_on_a_gpu_it_does_not_know_is_one_clear_line(
    cuda: DoubleMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = SimpleNamespace(make_current=lambda: None, gpu=lambda: Gpu("NVIDIA H200", (9, 0)))
    monkeypatch.setattr(tensorrt_backend, "open_device", lambda asked: device)
    record = TensorRTRecord(library="tensorrt_rtx", version="11.4", gpu_name=None, flags=())
    with pytest.raises(EngineMismatchError) as caught:
        TensorRTBackend(b"refused", SPEC, kind="tensorrt_rtx", build=record)
    assert str(caught.value) == (
        "TensorRT-RTX does not run on the NVIDIA H200 (compute capability 9.0); install tensorrt and rebuild on this "
        "machine with python deploy/build_engine.py --engine tensorrt"
    )


def test_no_gpu_is_said_before_the_library_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")
    monkeypatch.setattr(tensorrt_plan, "cuda_device_count", lambda: 0)
    record = TensorRTRecord(library="tensorrt_rtx", version=rtx.__version__, gpu_name=None, flags=())
    with pytest.raises(EngineMismatchError, match=r"runs on an NVIDIA GPU and the driver offers none.*onnxruntime"):
        TensorRTBackend(b"never read", SPEC, kind="tensorrt_rtx", build=record)


def test_a_missing_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    with pytest.raises(MissingDependencyError, match="pip install tensorrt ") as caught:
        tensorrt_library.load_tensorrt("tensorrt")
    assert "\n" not in str(caught.value)


def names_used(pattern: str, *modules: Any) -> set[str]:
    return {name for module in modules for name in re.findall(pattern, inspect.getsource(module))}


def test_every_tensorrt_name_exists_in_the_real_library() -> None:
    rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")
    names = names_used(r"\btrt\.([A-Za-z_0-9.]+)", tensorrt_plan, tensorrt_library, tensorrt_build)
    assert {"Builder", "OnnxParser", "Runtime", "nptype"} <= {name.split(".")[0] for name in names}
    for name in names:
        found = rtx
        for part in name.split("."):
            assert hasattr(found, part), f"tensorrt_rtx {rtx.__version__} has no {name}"
            found = getattr(found, part)
    for owner, used in {
        rtx.ICudaEngine: names_used(r"\bengine\.([a-z_0-9]+)", tensorrt_plan),
        rtx.Runtime: names_used(r"\bruntime\.([a-z_0-9]+)", tensorrt_plan),
        rtx.IExecutionContext: names_used(r"_context\.([a-z_0-9]+)", tensorrt_backend),
        rtx.IRuntimeConfig: names_used(r"\bconfig\.([a-z_0-9]+)", tensorrt_plan),
        rtx.IBuilderConfig: names_used(r"\bconfig\.([a-z_0-9]+)", tensorrt_build),
    }.items():
        assert used
        assert all(hasattr(owner, name) for name in used), (owner, used)
