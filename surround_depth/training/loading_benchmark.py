"""How many samples a second one core loads for training: our path beside a research loader's, on the same files."""

from __future__ import annotations

import cProfile
import pstats
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from surround_depth.imaging import InputSpec
from surround_depth.training.benchmark_moment import StoredMoment
from surround_depth.training.config import AugmentConfig
from surround_depth.training.dataset import Batch, DrawnSamples, collate, training_batches
from surround_depth.training.research_loader import ResearchLoader
from surround_depth.training.samples import SamplePreparer, SampleStore

N_WORKERS = 2
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

    @property
    def samples_per_core_s(self) -> float:
        """Samples a second that one core loads when nothing else runs on it."""
        return 1.0 / self.cpu_s


@dataclass(frozen=True)
class LoadingReport:
    """Rates in one process, rates with workers, and the share of our time by stage."""

    alone: tuple[LoadingRate, ...]
    workers: tuple[LoadingRate, ...]
    stages_ms: dict[str, float]
    image_bytes: int
    n_points: int
    n_samples: int

    def ratio(self, rates: tuple[LoadingRate, ...]) -> float:
        """Return how many times as many samples a core loads the first way (ours) as the last (the research loader)."""
        return rates[-1].cpu_s / rates[0].cpu_s

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"ratio_alone": self.ratio(self.alone), "ratio_workers": self.ratio(self.workers)}


def compare_loading(moment: StoredMoment, spec: InputSpec, n_samples: int) -> LoadingReport:
    """Time all ways of loading `n_samples` samples, in turns, so that a busy machine slows all of them.

    Nothing is kept between samples (the first epoch, or a data set larger than memory), and no teacher labels.
    """
    ours = _drawn(moment, spec, AugmentConfig())
    reframed = _drawn(moment, spec, AugmentConfig(zoom=(1.0, 1.5), shift=1.0))
    spoilt = _drawn(moment, spec, AugmentConfig(augmix=1.0))
    research = ResearchLoader(moment, spec)
    ways: dict[str, Callable[[int], Any]] = {
        "ours": lambda k: collate([ours[k]]),
        "ours, images as float32 [3, H, W] like the research loader": lambda k: _as_float(collate([ours[k]])),
        "ours, zoom and shift drawn per sample": lambda k: collate([reframed[k]]),
        "ours, AugMix-style corruption of every camera": lambda k: collate([spoilt[k]]),
        "research loader (Pillow, LANCZOS, numpy)": lambda k: torch.utils.data.default_collate([research[k]]),
    }
    alone = _time_in_turns(ways, n_samples)
    workers = (
        _time_workers("ours", lambda n: _our_batches(ours, n), n_samples),
        _time_workers("research loader", lambda n: _research_batches(research, n), n_samples),
    )
    image_bytes = sum(moment.image_path(name).stat().st_size for name in moment.rig.names)
    n_points = moment.lidar_path.stat().st_size // 12
    return LoadingReport(alone, workers, _stages_ms(ours, n_samples), image_bytes, n_points, n_samples)


def _drawn(moment: StoredMoment, spec: InputSpec, augmentation: AugmentConfig) -> DrawnSamples:
    return DrawnSamples(SampleStore([moment], SamplePreparer(spec, None), cache=False), augmentation, seed=0)


def _as_float(batch: Batch) -> torch.Tensor:
    """What the engine does inside its graph, done on the CPU."""
    return batch.images.permute(0, 1, 4, 2, 3).contiguous().float().div_(255.0)


def _time_in_turns(ways: dict[str, Callable[[int], Any]], n_samples: int) -> tuple[LoadingRate, ...]:
    wall_s: dict[str, list[float]] = {name: [] for name in ways}
    cpu_s: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(-2, n_samples):  # two rounds to warm up: compiled functions, the disk cache
        for name, load in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            load(max(k, 0))
            if k >= 0:
                wall_s[name].append(time.perf_counter() - wall)
                cpu_s[name].append(time.process_time() - cpu)
    return tuple(LoadingRate(name, float(np.median(cpu_s[name])), float(np.median(wall_s[name]))) for name in ways)


def _our_batches(drawn: DrawnSamples, n_samples: int) -> Iterator[Any]:
    return iter(training_batches(drawn, first_draw=0, n_draws=n_samples, batch_size=1, n_workers=N_WORKERS))


def _research_batches(loader: ResearchLoader, n_samples: int) -> Iterator[Any]:
    draws = [k % len(loader) for k in range(n_samples)]
    return iter(DataLoader(loader, batch_size=1, sampler=draws, num_workers=N_WORKERS))


def _time_workers(name: str, batches: Callable[[int], Iterator[Any]], n_samples: int) -> LoadingRate:
    """Time what `n_samples` more samples cost: a long pass less a short one, so that the workers' start cancels."""
    short, long = (np.array(_time_pass(batches(n * n_samples))) for n in (1, 3))
    cpu_s, wall_s = (long - short) / (2 * n_samples)
    return LoadingRate(name, float(cpu_s), float(wall_s))


def _time_pass(batches: Iterator[Any]) -> tuple[float, float]:
    """Return CPU seconds, those of the workers included, and wall seconds until the last sample is there."""
    cpu, wall = _cpu_with_workers_s(), time.perf_counter()
    for _ in batches:
        pass
    # The loader joins its workers after the last sample; only then does the system count their time.
    return _cpu_with_workers_s() - cpu, time.perf_counter() - wall


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
