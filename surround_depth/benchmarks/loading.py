"""How many samples a second one core loads for training: our path beside a research loader's, on the same files."""

from __future__ import annotations

import cProfile
import pstats
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from surround_depth.benchmarks.loading_moment import StoredMoment
from surround_depth.benchmarks.report import require_repeats
from surround_depth.benchmarks.research_loader import ResearchLoader
from surround_depth.imaging import InputSpec
from surround_depth.training.config import AugmentConfig
from surround_depth.training.dataset import Batch, DrawnSamples, collate, training_batches
from surround_depth.training.prepared import PreparedSample
from surround_depth.training.samples import SamplePreparer, SampleStore

PACKAGES = ("numpy", "opencv-python-headless", "simplejpeg", "numba", "torch", "pillow")
N_WORKERS = 2
N_ROUNDS = 3  # of the ways with workers
LIKE_FOR_LIKE = "ours, like for like: float32 images and LiDAR maps"
AS_GRAPH_TAKES_IT = "ours, as our graph takes it: uint8 images, LiDAR points"
RESEARCH = "research loader (Pillow, LANCZOS, numpy)"
_Handed = Batch | dict[str, torch.Tensor]  # what a loader gives for one sample
_STAGES = {  # function: what it is, in the order of the path; none is called by another
    "read_encoded": "read JPEG files",
    "decode_image": "decode JPEGs",
    "resize_into": "resize",
    "rasterise_sparse": "project LiDAR",
    "visible": "occlusion test",
    "mirror": "mirror",
    "augment": "colour jitter, drop-out",
    "collate": "collate to tensors",
}


@dataclass(frozen=True)
class LoadingRate:
    """One way of loading. CPU time is what a core gives for a sample; wall time is also waiting for a busy machine."""

    name: str
    cpu_s: float  # per sample, workers included
    wall_s: float  # per sample
    sample_bytes: int  # of the tensors that are handed out

    @property
    def samples_per_core_s(self) -> float:
        """Samples a second that one core loads when nothing else runs on it."""
        return 1.0 / self.cpu_s


@dataclass(frozen=True)
class LoadingComparison:
    """Rates in one process, rates with workers, and the share of our time by stage."""

    alone: tuple[LoadingRate, ...]
    workers: tuple[LoadingRate, ...]
    stages_ms: dict[str, float]
    n_cameras: int
    jpeg_bytes: int  # of all cameras
    n_points: int
    n_samples: int


def ratio(rates: tuple[LoadingRate, ...], name: str) -> float:
    """Return how many times as many samples a core loads the way called `name` as the research loader's way."""
    cpu_s = {rate.name: rate.cpu_s for rate in rates}
    return cpu_s[RESEARCH] / cpu_s[name]


def compare_loading(moment: StoredMoment, spec: InputSpec, n_samples: int) -> LoadingComparison:
    """Time all ways of loading `n_samples` samples, in turns, so that a busy machine slows all of them.

    Nothing is kept between samples (the first epoch, or a data set larger than memory), and no teacher labels.

    Raises:
        ConfigError: `n_samples` is below one.
    """
    require_repeats("--samples", n_samples)
    ours = _drawn(moment, spec, AugmentConfig())
    reframed = _drawn(moment, spec, AugmentConfig(zoom=(1.0, 1.5), shift=1.0))
    spoilt = _drawn(moment, spec, AugmentConfig(augmix=1.0))
    research = ResearchLoader(moment, spec)
    ways: dict[str, Callable[[int], _Handed]] = {
        LIKE_FOR_LIKE: lambda k: _like_research([ours[k]]),
        AS_GRAPH_TAKES_IT: lambda k: collate([ours[k]]),
        "the same, zoom and shift drawn per sample": lambda k: collate([reframed[k]]),
        "the same, AugMix-style corruption of every camera": lambda k: collate([spoilt[k]]),
        RESEARCH: lambda k: torch.utils.data.default_collate([research[k]]),
    }
    batches: dict[str, Callable[[int], Iterator[_Handed]]] = {
        LIKE_FOR_LIKE: lambda n: iter(
            DataLoader(ours, batch_size=1, sampler=range(n), num_workers=N_WORKERS, collate_fn=_like_research)
        ),
        AS_GRAPH_TAKES_IT: lambda n: iter(
            training_batches(ours, first_draw=0, n_draws=n, batch_size=1, n_workers=N_WORKERS)
        ),
        RESEARCH: lambda n: iter(
            DataLoader(research, batch_size=1, sampler=[k % len(research) for k in range(n)], num_workers=N_WORKERS)
        ),
    }
    return LoadingComparison(
        alone=_time_in_turns(ways, n_samples),
        workers=_time_workers_in_turns(batches, n_samples),
        stages_ms=_stages_ms(ours, n_samples),
        n_cameras=len(moment.rig),
        jpeg_bytes=sum(moment.image_path(name).stat().st_size for name in moment.rig.names),
        n_points=moment.lidar_path.stat().st_size // 12,
        n_samples=n_samples,
    )


def _drawn(moment: StoredMoment, spec: InputSpec, augmentation: AugmentConfig) -> DrawnSamples:
    return DrawnSamples(SampleStore([moment], SamplePreparer(spec, None), cache=False), augmentation, seed=0)


def _like_research(samples: list[PreparedSample]) -> dict[str, torch.Tensor]:
    """Return the tensors that the research loader hands out, and only them, collated as its own are."""
    return torch.utils.data.default_collate(
        [{"images": _as_float(sample.images), "depth_m": torch.from_numpy(sample.lidar_m)} for sample in samples]
    )


def _as_float(images: NDArray[np.uint8]) -> torch.Tensor:
    """Return images [N, H, W, 3] as float32 [N, 3, H, W] in 0..1: what the engine does inside its graph."""
    pixels = torch.from_numpy(np.require(images, requirements=("C", "W")))
    return pixels.permute(0, 3, 1, 2).contiguous().float().div_(255.0)


def _n_bytes(handed: _Handed) -> int:
    values = handed.values() if isinstance(handed, dict) else vars(handed).values()
    return sum(value.nbytes for value in values if isinstance(value, torch.Tensor))


def _time_in_turns(ways: dict[str, Callable[[int], _Handed]], n_samples: int) -> tuple[LoadingRate, ...]:
    wall_s: dict[str, list[float]] = {name: [] for name in ways}
    cpu_s: dict[str, list[float]] = {name: [] for name in ways}
    n_bytes = {}
    for k in range(-2, n_samples):  # two rounds to warm up: compiled functions, the disk cache
        for name, load in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            handed = load(max(k, 0))
            if k >= 0:
                wall_s[name].append(time.perf_counter() - wall)
                cpu_s[name].append(time.process_time() - cpu)
            n_bytes[name] = _n_bytes(handed)
    return _medians(cpu_s, wall_s, n_bytes)


def _time_workers_in_turns(
    ways: dict[str, Callable[[int], Iterator[_Handed]]], n_samples: int
) -> tuple[LoadingRate, ...]:
    """Time what `2 n_samples` samples cost: a long pass less a short one, so that the workers' start cancels."""
    wall_s: dict[str, list[float]] = {name: [] for name in ways}
    cpu_s: dict[str, list[float]] = {name: [] for name in ways}
    n_bytes = {}
    for _ in range(N_ROUNDS):
        for name, batches in ways.items():
            short_cpu_s, short_wall_s, _ = _time_pass(batches(n_samples))
            long_cpu_s, long_wall_s, n_bytes[name] = _time_pass(batches(3 * n_samples))
            cpu_s[name].append((long_cpu_s - short_cpu_s) / (2 * n_samples))
            wall_s[name].append((long_wall_s - short_wall_s) / (2 * n_samples))
    return _medians(cpu_s, wall_s, n_bytes)


def _medians(
    cpu_s: dict[str, list[float]], wall_s: dict[str, list[float]], n_bytes: dict[str, int]
) -> tuple[LoadingRate, ...]:
    return tuple(
        LoadingRate(name, float(np.median(cpu_s[name])), float(np.median(wall_s[name])), n_bytes[name])
        for name in cpu_s
    )


def _time_pass(batches: Iterator[_Handed]) -> tuple[float, float, int]:
    """Return CPU seconds, those of the workers included, wall seconds until the last sample is there, and its bytes."""
    cpu, wall = _cpu_with_workers_s(), time.perf_counter()
    n_bytes = 0
    for handed in batches:
        n_bytes = _n_bytes(handed)
    # The loader joins its workers after the last sample; only then does the system count their time.
    return _cpu_with_workers_s() - cpu, time.perf_counter() - wall, n_bytes


def _cpu_with_workers_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _stages_ms(drawn: DrawnSamples, n_samples: int) -> dict[str, float]:
    """Return CPU milliseconds per sample by stage, the remainder last; the profiler adds a few per cent."""
    profile = cProfile.Profile(time.process_time)
    started = time.process_time()
    for k in range(n_samples):
        profile.enable()
        collate([drawn[k]])
        profile.disable()
    total_ms = 1e3 * (time.process_time() - started) / n_samples
    by_function: dict[str, float] = {}
    for (_, _, function), (_, _, _, cumulative_s, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if function in _STAGES:
            by_function[function] = by_function.get(function, 0.0) + 1e3 * cumulative_s / n_samples
    stages_ms = {text: by_function.get(function, 0.0) for function, text in _STAGES.items()}
    return stages_ms | {"the rest": total_ms - sum(stages_ms.values())}
