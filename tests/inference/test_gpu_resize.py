"""The kernel that resizes on the GPU, compiled for the CPU and held against imaging: to the bit, or one grey level."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from box_world import make_camera
from cuda_doubles import DoubleMachine
from host_kernel import fake_cubin, host_kernel

from surround_depth.errors import DataError, EngineMismatchError
from surround_depth.frame import EncodedImage
from surround_depth.imaging import Framing, ImagePlans, InputSpec, encode_jpeg, plan_images
from surround_depth.inference import kernel_compiler
from surround_depth.inference.cuda_memory import MirroredBuffer
from surround_depth.inference.device import DeviceKind
from surround_depth.inference.gpu_resize import GpuResizer, Picture
from surround_depth.rig import Rig

NUSCENES, DDAD, SMALL, WHOLE = (900, 1600), (1216, 1936), (180, 320), (512, 896)


@pytest.fixture(autouse=True)
def no_nvrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_compiler, "nvrtc_cubin", fake_cubin)


class Bench:
    """A resizer on a double of the GPU, and the images that it fills."""

    def __init__(self, plans: ImagePlans, n_slots: int, kind: DeviceKind = "cuda-bindings") -> None:
        host_kernel()  # skips where there is no compiler
        self.machine = DoubleMachine(kind)
        self.device = self.machine.open_device()
        self.device.make_current()
        self.stream = self.device.create_stream()
        shape = (n_slots, plans.spec.height_px, plans.spec.width_px, 3)
        self.images = MirroredBuffer(self.device, shape, np.dtype(np.uint8))
        self.resizer = GpuResizer(self.device, plans, n_slots)

    def run(self, pictures: tuple[Picture | None, ...]) -> np.ndarray:
        self.images.host[:] = 77  # what was there before
        self.images.upload(self.stream)
        self.resizer.queue(pictures, self.images, self.stream)
        self.images.download(self.stream)
        self.device.synchronize(self.stream)
        return self.images.host.copy()

    def close(self) -> None:
        self.resizer.close()
        self.images.close()
        self.device.destroy_stream(self.stream)


def plans_of(sizes: list[tuple[int, int]], height_px: int, width_px: int) -> ImagePlans:
    cameras = tuple(make_camera(f"C{i}", 60.0 * i, height_px=h, width_px=w) for i, (h, w) in enumerate(sizes))
    return plan_images(Rig("mixed", cameras), InputSpec(height_px=height_px, width_px=width_px))


def random_picture(size: tuple[int, int], seed: int) -> np.ndarray:
    """Noise, the hardest case of rounding, with a smooth half, where errors would show as steps."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    picture[:, : size[1] // 2] = np.linspace(0, 255, size[0], dtype=np.uint8)[:, None, None]
    return picture


@pytest.mark.parametrize(
    "sizes, network, exact_share",
    [
        ([NUSCENES] * 2, (256, 448), 1.0),
        ([DDAD] * 2, (384, 640), 1.0),
        ([NUSCENES, DDAD, (257, 449)], (256, 448), 1.0),
        ([(256, 448)], (256, 448), 1.0),  # nothing to resize
        ([WHOLE], (256, 448), 1.0),  # halved: OpenCV's averages of whole pixels
        ([(1024, 1792)], (256, 448), 0.9),  # quartered: OpenCV rounds ties to even; the smooth half is full of ties
        ([SMALL], (256, 448), 0.8),  # enlarged: OpenCV computes in whole numbers and cuts bits off
    ],
)
def test_the_kernel_is_imaging(sizes: list[tuple[int, int]], network: tuple[int, int], exact_share: float) -> None:
    plans = plans_of(sizes, *network)
    pictures = tuple(random_picture(size, seed) for seed, size in enumerate(sizes))
    bench = Bench(plans, n_slots=len(sizes))
    resized, expected = bench.run(pictures), plans.prepare(pictures)
    bench.close()
    difference = np.abs(resized.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= exact_share
    assert not bench.machine.alive


@pytest.mark.parametrize("kind", get_args(DeviceKind))
def test_a_dead_camera_and_an_empty_slot_are_black(kind: DeviceKind) -> None:
    plans = plans_of([NUSCENES, DDAD], 256, 448)
    bench = Bench(plans, n_slots=4, kind=kind)
    picture = random_picture(DDAD, 1)
    both = bench.run((random_picture(NUSCENES, 0), picture))
    one = bench.run((None, picture))  # the camera died: nothing of its last picture stays
    bench.close()
    assert both[0].any()
    np.testing.assert_array_equal(one[:2], plans.prepare((None, picture)))
    assert not one[0].any()
    assert not one[2:].any()
    assert not bench.machine.alive


def test_a_mirrored_plan_is_mirrored_here_too() -> None:
    plans = plan_images(
        plans_of([NUSCENES], 256, 448).rig, InputSpec(height_px=256, width_px=448), Framing(mirrored=True)
    )
    picture = random_picture(NUSCENES, 6)
    bench = Bench(plans, n_slots=1)
    np.testing.assert_array_equal(bench.run((picture,)), plans.prepare((picture,)))
    bench.close()


def test_a_jpeg_decoded_smaller_has_taps_of_its_own() -> None:
    plans = plans_of([(1216, 1936)], 256, 448)
    encoded = EncodedImage(encode_jpeg(random_picture(DDAD, 3)), "camera.jpg")
    decoded = plans.plans[0].decode(encoded)
    assert decoded.shape == (608, 968, 3)
    bench = Bench(plans, n_slots=1)
    np.testing.assert_array_equal(bench.run((decoded,)), plans.prepare((encoded,)))
    np.testing.assert_array_equal(bench.run((random_picture(DDAD, 4),)), plans.prepare((random_picture(DDAD, 4),)))
    bench.close()
    assert not bench.machine.alive


def on_gpu(bench: Bench, picture: np.ndarray, **changes: Any) -> Any:
    """A picture that lies in the double's device memory, as cupy or torch would show it."""
    interface = {"shape": picture.shape, "typestr": "|u1", "data": (bench.device.allocate(picture.nbytes), False)}
    bench.machine.get("device", interface["data"][0])[:] = picture.tobytes()
    return SimpleNamespace(__cuda_array_interface__=interface | {"version": 3, "strides": None} | changes)


def test_a_picture_on_the_gpu_is_not_copied() -> None:
    plans = plans_of([NUSCENES], 256, 448)
    picture = random_picture(NUSCENES, 5)
    bench = Bench(plans, n_slots=1)
    bench.run((picture,))  # the taps go up
    device_picture = on_gpu(bench, picture)
    bench.machine.calls.clear()
    np.testing.assert_array_equal(bench.run((device_picture,)), plans.prepare((picture,)))
    assert bench.machine.calls.count("cudaMemcpyAsync") == 3  # of the test's own two, and the table of pictures
    padded = np.zeros((900, 1664, 3), np.uint8)
    padded[:, :1600] = picture
    rows_apart = on_gpu(bench, padded, shape=(900, 1600, 3), strides=(1664 * 3, 3, 1))
    np.testing.assert_array_equal(bench.run((rows_apart,)), plans.prepare((picture,)))


def test_pictures_of_another_kind_are_refused() -> None:
    plans = plans_of([NUSCENES], 256, 448)
    bench = Bench(plans, n_slots=1)
    wrong = [
        np.zeros((900, 1601, 3), np.uint8),
        np.zeros((300, 533, 3), np.uint8),
        np.zeros((900, 1600), np.uint8),
        np.zeros((900, 1600, 3), np.float32),
        on_gpu(bench, np.zeros((900, 1600, 3), np.uint8), strides=(4800, 1, 1600)),
        on_gpu(bench, np.zeros((900, 1600, 3), np.uint8), typestr="|i1"),
    ]
    for picture in wrong:
        with pytest.raises(DataError, match=r"C0: the GPU resizes uint8 RGB \[900, 1600, 3\]"):
            bench.run((picture,))
    bench.resizer.close()
    with pytest.raises(EngineMismatchError, match="this resizer is closed"):
        bench.run((None,))


def test_any_thread_may_close_it() -> None:
    bench = Bench(plans_of([NUSCENES], 256, 448), n_slots=1)
    with ThreadPoolExecutor(1) as other:
        other.submit(bench.resizer.close).result()
    bench.close()
    assert not bench.machine.alive


@pytest.mark.parametrize("call", ["cuModuleLoadData", "cuModuleGetFunction", "cudaMalloc"])
def test_what_fails_at_the_start_leaves_nothing(call: str) -> None:
    machine = DoubleMachine("cuda-bindings", fail=call)
    device = machine.open_device()
    device.make_current()
    with pytest.raises(EngineMismatchError, match=f"{call} failed"):
        GpuResizer(device, plans_of([NUSCENES], 256, 448), 1)
    assert not machine.alive
