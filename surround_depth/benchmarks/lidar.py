"""How long LiDAR depth takes, the kernels beside plain numpy, on the same points in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from surround_depth.benchmarks import lidar_numpy
from surround_depth.benchmarks.report import Report, Table, require_repeats
from surround_depth.data.lidar_accumulate import accumulate
from surround_depth.data.lidar_depth import T_cam_lidar_ego
from surround_depth.data.lidar_occlusion import visible
from surround_depth.data.lidar_raster import rasterise, rasterise_sparse, resize_depth_preserve
from surround_depth.data.lidar_tracks import Tracks
from surround_depth.data.sample import Box
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import Array, Lens, rigid
from surround_depth.metrics.protocols import STRICT, Rasteriser, protocol
from surround_depth.rig import Rig
from surround_depth.window import ImageWindow

PACKAGES = ("numpy", "numba")
N_SWEEPS = 10
_RINGS, _AZIMUTHS = 32, 1084  # 34,688 points, as the nuScenes sweep of the fixtures
_SWEEP_NS = 50_000_000
_SPEED_MPS = 10.0
_N_CARS = 30
_NEAREST = STRICT.nuscenes.rasteriser
_Run = Callable[[], Sequence[NDArray[Any]]]


class _View(NamedTuple):
    """The arguments of a rasteriser."""

    points_m: NDArray[np.float32]
    T_cam_points: Array
    K: Array
    lens: Lens
    height_px: int
    width_px: int


class _Task(NamedTuple):
    """The same work twice."""

    name: str
    kernel: _Run
    plain: _Run


@dataclass(frozen=True)
class Timing:
    """Median CPU milliseconds of one task, for all cameras together."""

    task: str
    kernel_ms: float
    numpy_ms: float | None  # None where numpy has no equal

    @property
    def ratio(self) -> float | None:
        """How many times faster the kernel is."""
        return None if self.numpy_ms is None else self.numpy_ms / self.kernel_ms


def street_sweep(index: int) -> PointCloud:
    """Return a sweep [34688] of a made street: road, house fronts at 6 to 25 m, cars; driving at 10 m/s at 20 Hz."""
    rng = np.random.default_rng(index)
    elevation = np.repeat(np.radians(np.linspace(-30.67, 10.67, _RINGS)), _AZIMUTHS)
    azimuth = np.tile(np.linspace(-np.pi, np.pi, _AZIMUTHS, endpoint=False), _RINGS)
    fronts_m = np.random.default_rng(1000).uniform(6.0, 25.0, 72)[((azimuth + np.pi) / (2 * np.pi) * 72).astype(int)]
    with np.errstate(divide="ignore"):
        road_m = np.where(elevation < 0, 1.84 / np.sin(-elevation), np.inf)
    range_m = np.minimum(fronts_m / np.cos(elevation), road_m) + rng.normal(0, 0.02, len(azimuth))
    rays = np.stack([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)], 1)
    points_m = rays * range_m[:, None] + (0.94, 0.0, 1.84)
    stamp_ns = 1_600_000_000_000_000_000 + index * _SWEEP_NS
    return PointCloud(points_m.astype(np.float32), "ego", stamp_ns, T_world_ego=_pose(stamp_ns))


def measure(rig: Rig, repeats: int) -> list[Timing]:
    """Return the times of every task at the cameras' own resolution, one thread.

    Raises:
        ConfigError: `repeats` is below one.
        DataError: a kernel and numpy disagree, so their times cannot be compared.
    """
    require_repeats("--repeats", repeats)
    sweeps = [street_sweep(index) for index in range(N_SWEEPS)]
    key, boxes = sweeps[-1], _cars(sweeps)
    many = accumulate(sweeps, key.stamp_ns, boxes)
    return [
        *_of_cloud(rig, key, f"1 sweep, {len(key):,} points", repeats),
        *_of_cloud(rig, many, f"{N_SWEEPS} sweeps, {len(many):,} points", repeats),
        *_of_accumulation(sweeps, boxes, repeats),
        _of_resize(rig, key, repeats),
    ]


def _of_cloud(rig: Rig, cloud: PointCloud, what: str, repeats: int) -> list[Timing]:
    views = [_view(rig, cloud, i) for i in range(len(rig))]
    tasks = [
        *_raster_tasks(views, protocol("sd").nuscenes.rasteriser, what, "sd"),
        *_raster_tasks(views, _NEAREST, what, "strict"),
    ]
    timings = [_compare(task, repeats) for task in tasks]
    pairs = [(rasterise_sparse(*view, _NEAREST), camera) for view, camera in zip(views, rig.cameras, strict=True)]
    seconds = _median_s(lambda: [visible(depth, camera).depth_m for depth, camera in pairs], repeats)
    return [*timings, Timing(f"{what}: occlusion test", 1e3 * seconds, None)]


def _raster_tasks(views: list[_View], rule: Rasteriser, what: str, name: str) -> tuple[_Task, _Task]:
    maps = _Task(
        f"{what}: depth maps by {name}",
        lambda: [rasterise(*view, rule) for view in views],
        lambda: [_numpy_map(view, rule) for view in views],
    )
    pixels = _Task(
        f"{what}: only the pixels with depth, by {name}",
        lambda: [rasterise_sparse(*view, rule).depth_m for view in views],
        lambda: [m[np.isfinite(m)] for m in (_numpy_map(view, rule) for view in views)],
    )
    return maps, pixels


def _of_accumulation(sweeps: list[PointCloud], boxes: list[Box], repeats: int) -> list[Timing]:
    key = sweeps[-1]
    moving, pose = Tracks(boxes).at(key.stamp_ns), _pose(key.stamp_ns)
    in_boxes = _Task(
        f"1 sweep: points in {_N_CARS} moving boxes",
        lambda: [moving.holds(key.points_m, pose)],
        lambda: [lidar_numpy.in_any_box(moving, key.points_m, pose)],
    )
    whole_s = _median_s(lambda: [accumulate(sweeps, key.stamp_ns, boxes).points_m], repeats)
    accumulation = Timing(f"{N_SWEEPS} sweeps: accumulation with {_N_CARS} moving boxes", 1e3 * whole_s, None)
    return [_compare(in_boxes, repeats), accumulation]


def _of_resize(rig: Rig, cloud: PointCloud, repeats: int) -> Timing:
    windows = [ImageWindow.whole(camera.height_px, camera.width_px, 352, 640) for camera in rig.cameras]
    pairs = [(rasterise(*_view(rig, cloud, i), _NEAREST), window) for i, window in enumerate(windows)]
    task = _Task(
        "1 sweep: value-preserving resize of the maps to 352 x 640",
        lambda: [resize_depth_preserve(m, window) for m, window in pairs],
        lambda: [lidar_numpy.resize_depth_preserve(m, window) for m, window in pairs],
    )
    return _compare(task, repeats)


def lidar_report(timings: list[Timing], rig: Rig, repeats: int) -> Report:
    """Return the timings in words."""
    table = Table(
        (f"{len(rig)} cameras, full resolution", "kernel, CPU ms", "numpy, CPU ms", "ratio"),
        tuple((t.task, f"{t.kernel_ms:.2f}", _cell(t.numpy_ms, 2), _cell(t.ratio, 1)) for t in timings),
    )
    meaning = (
        f"LiDAR depth for all cameras of the rig {rig.name}, on sweeps of a made-up street, {_RINGS * _AZIMUTHS:,} "
        "points each. Both ways run in one thread, in turns, after a first run that compiles the kernels and shows "
        f"that both give the same; a figure is the thread's median CPU time over {repeats} runs. Where the numpy "
        "cell is empty, there is no numpy version to compare with."
    )
    rows = [asdict(timing) | {"ratio": timing.ratio} for timing in timings]
    return Report("lidar", "LiDAR depth", (table, meaning), {"rig": rig.name, "repeats": repeats, "timings": rows})


def _cell(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _view(rig: Rig, cloud: PointCloud, i: int) -> _View:
    """Return what a camera sees that fires when the sweep ends."""
    camera = rig.cameras[i]
    T_cam_points = T_cam_lidar_ego(cloud, cloud.T_world_ego, camera)
    return _View(cloud.points_m, T_cam_points, camera.K, camera.lens, camera.height_px, camera.width_px)


def _numpy_map(view: _View, rule: Rasteriser) -> NDArray[np.float32]:
    size_px = view.height_px, view.width_px
    return lidar_numpy.rasterise(view.points_m, view.T_cam_points, view.K, *size_px, rule)


def _compare(task: _Task, repeats: int) -> Timing:
    for ours, theirs in zip(task.kernel(), task.plain(), strict=True):
        if not np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
            raise DataError(f"{task.name}: the kernel and numpy disagree; run the tests of lidar_raster")
    # In turns, so that a busy machine is unkind to both.
    times = [(_seconds(task.kernel), _seconds(task.plain)) for _ in range(repeats)]
    kernel_s, plain_s = np.median(times, axis=0)
    return Timing(task.name, 1e3 * float(kernel_s), 1e3 * float(plain_s))


def _median_s(run: _Run, repeats: int) -> float:
    run()  # compiles
    return float(np.median([_seconds(run) for _ in range(repeats)]))


def _seconds(run: _Run) -> float:
    started = time.thread_time()  # of this thread alone: a busy machine says nothing about a kernel
    run()
    return time.thread_time() - started


def _pose(stamp_ns: int) -> Array:
    return rigid(np.eye(3), (_SPEED_MPS * (stamp_ns - 1_600_000_000_000_000_000) * 1e-9, 0.0, 0.0))


def _cars(sweeps: list[PointCloud]) -> list[Box]:
    """Return cars that drive with us at other speeds, annotated at the first and the last sweep."""
    rng = np.random.default_rng(0)
    boxes = []
    for number in range(_N_CARS):
        place, speed_mps = rng.uniform((-40, -12, 0.8), (40, 12, 0.8)), rng.uniform(2.0, 15.0)
        for sweep in (sweeps[0], sweeps[-1]):
            way_m = speed_mps * (sweep.stamp_ns - sweeps[0].stamp_ns) * 1e-9
            pose = rigid(np.eye(3), place + np.array([way_m, 0.0, 0.0]))
            boxes.append(Box(pose, (4.5, 1.9, 1.6), "vehicle.car", str(number), sweep.stamp_ns))
    return boxes
