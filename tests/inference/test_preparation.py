"""Both ways from pictures to the network give the pipeline the same frame; the GPU is a double."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from box_world import BoxDrive, OracleBackend, make_camera
from cuda_doubles import DoubleMachine
from host_kernel import host_kernel
from tensorrt_double import double_machine, open_double

from surround_depth.errors import EngineMismatchError
from surround_depth.frame import EncodedImage, SurroundFrame
from surround_depth.imaging import encode_jpeg
from surround_depth.inference.pipeline import SurroundDepthPipeline
from surround_depth.inference.preparation import GpuPreparation
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.rig import Rig

SIZES = {"A": (450, 800), "B": (304, 484)}


@pytest.fixture(params=["cuda-bindings", "pycuda"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DoubleMachine:
    host_kernel()  # skips where there is no compiler
    return double_machine(request.param, monkeypatch)


def make_frame(seed: int, *, n_cameras: int = 2, dead: bool = False) -> SurroundFrame:
    """A JPEG and an array of different sizes; the last camera may be dead."""
    cameras = tuple(
        make_camera(name, 90.0 * i, *size) for i, (name, size) in enumerate(list(SIZES.items())[:n_cameras])
    )
    rng = np.random.default_rng(seed)
    pictures = [rng.integers(0, 256, (camera.height_px, camera.width_px, 3), dtype=np.uint8) for camera in cameras]
    images = [EncodedImage(encode_jpeg(pictures[0]), "a.jpg"), *pictures[1:]]
    valid = np.array([True] * (n_cameras - dead) + [False] * dead)
    return SurroundFrame(
        frame_id=str(seed),
        rig=Rig("two", cameras),
        images=tuple(image if ok else None for image, ok in zip(images, valid, strict=True)),
        stamps_ns=np.where(valid, 1_000_000_000, 0),
        T_world_ego=None,
        camera_valid=valid,
    )


@pytest.mark.parametrize("n_cameras, dead", [(2, False), (2, True), (1, False)])
def test_the_gpu_prepares_what_the_host_prepares(n_cameras: int, dead: bool, machine: DoubleMachine) -> None:
    frame = make_frame(3, n_cameras=n_cameras, dead=dead)
    with open_double() as backend:
        on_host = SurroundDepthPipeline(backend, frame.rig)(frame)
        on_gpu = SurroundDepthPipeline(backend, frame.rig, preparation=GpuPreparation)(frame)
    np.testing.assert_array_equal(on_gpu.images, on_host.images)
    np.testing.assert_array_equal(on_gpu.depth_m, on_host.depth_m)
    np.testing.assert_array_equal(on_gpu.confidence, on_host.confidence)
    assert on_gpu.images.shape == (n_cameras, 64, 96, 3)
    assert not machine.alive


def test_neighbouring_frames_may_be_prepared_before_they_are_inferred(machine: DoubleMachine) -> None:
    frames = [make_frame(seed) for seed in (1, 2)]
    with open_double() as backend:
        pipeline = SurroundDepthPipeline(backend, frames[0].rig, preparation=GpuPreparation)
        prepared = [pipeline.prepare(frame) for frame in frames]
        depths = [pipeline.decode(p, pipeline.infer(p)) for p in prepared]
        alone = SurroundDepthPipeline(backend, frames[0].rig)
        for frame, depth in zip(frames, depths, strict=True):
            np.testing.assert_array_equal(depth.depth_m, alone(frame).depth_m)


def test_preparing_and_inferring_on_threads_of_their_own(machine: DoubleMachine) -> None:
    frame = make_frame(5)
    with open_double() as backend, ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        pipelines = RigPipelines(backend, preparation=GpuPreparation)
        pipeline = first.submit(pipelines.for_rig, frame.rig).result()
        prepared = first.submit(pipeline.prepare, frame).result()
        inferred = second.submit(pipeline.infer, prepared).result()
        np.testing.assert_array_equal(inferred.images, pipeline.plans.prepare(frame.images))


def test_a_recalibrated_rig_gives_back_what_the_old_one_held(machine: DoubleMachine) -> None:
    frame = make_frame(4)
    with open_double() as backend:
        pipelines = RigPipelines(backend, preparation=GpuPreparation)
        held = []
        for shift_m in (0.0, 0.1, 0.2, 0.3):
            T_ego_cam = frame.rig.cameras[0].T_ego_cam.copy()
            T_ego_cam[0, 3] += shift_m
            camera = replace(frame.rig.cameras[0], T_ego_cam=T_ego_cam)
            moved = replace(frame, rig=frame.rig.with_cameras((camera, *frame.rig.cameras[1:])))
            pipelines.for_rig(moved.rig)(moved)
            gc.collect()
            held.append(len(machine.alive))
        assert len(set(held)) == 1
    assert not machine.alive


def test_an_engine_without_a_gpu_says_so() -> None:
    drive = BoxDrive()
    with pytest.raises(EngineMismatchError, match="only a TensorRT engine resizes on its GPU, and this is a Oracle"):
        SurroundDepthPipeline(OracleBackend(drive), drive.rig, preparation=GpuPreparation)
