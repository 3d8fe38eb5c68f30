"""An engine beside others in one run: another engine, Depth Anything V2, or a network of SurroundDepth's size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from surround_depth.benchmarks.report import Table
from surround_depth.export.benchmark import WARM_UP_S
from surround_depth.export.frames import ProofFrames
from surround_depth.inference.backend import Backend, open_backend
from surround_depth.inference.manifest import EngineKind, load_manifest

REFERENCES = ("dav2-s", "dav2-b", "dav2-l", "surrounddepth")
"""`rivals.RivalName`, which is behind torch."""


@dataclass(frozen=True)
class Versus:
    """The engine beside one other, in turns, so that a busy machine is unkind to both."""

    name: str
    what: str
    own_p50_ms: float
    other_p50_ms: float
    runs: int

    @property
    def times_as_fast(self) -> float:
        """The other's time over the engine's."""
        return self.other_p50_ms / self.own_p50_ms

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"times_as_fast": self.times_as_fast}


def race(
    backend: Backend, engine: EngineKind, frames: ProofFrames, names: Sequence[str], *, runs: int, threads: int
) -> list[Versus]:
    """Time the engine alone against each of `names`: one of `REFERENCES`, else the path of an engine folder.

    Everything runs with the same threads; a reference in the runtime of the engine, with random weights, for pictures
    of the engine's size (Depth Anything: the nearest whole patches).

    Raises:
        ConfigError: a reference beside an engine of a GPU.
        EngineMismatchError: an engine folder that does not open.
    """
    (inputs, *_) = frames.network_inputs(backend.spec.input)
    found = []
    for name in names:
        with _opened(name, backend, engine, frames, threads) as (what, other):
            own_ms, other_ms = in_turns(lambda: backend.infer(inputs), other, runs)
        found.append(Versus(Path(name).name, what, own_ms, other_ms, runs))
    return found


def against_table(found: Sequence[Versus]) -> str:
    """Return the comparison as a Markdown table."""
    rows = tuple(
        (f"{one.name}: {one.what}", f"{one.own_p50_ms:.1f}", f"{one.other_p50_ms:.1f}", f"{one.times_as_fast:.2f}")
        for one in found
    )
    return str(Table(("against", "this engine p50 ms", "the other p50 ms", "times as fast"), rows))


@contextmanager
def _opened(
    name: str, backend: Backend, engine: EngineKind, frames: ProofFrames, threads: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what the other is, and a call that runs one frame of it."""
    if name not in REFERENCES:
        manifest = load_manifest(Path(name))
        with open_backend(name, threads=threads) as other:
            (inputs, *_) = frames.network_inputs(other.spec.input)
            size = f"{other.spec.n_cameras} x {other.spec.input.height_px} x {other.spec.input.width_px}"
            yield f"{manifest.engine} {manifest.precision}, {size}", lambda: other.infer(inputs)
        return
    with TemporaryDirectory() as folder:
        from surround_depth.benchmarks.rivals import RivalName, open_rival  # torch and transformers are for these alone

        spec = backend.spec
        rival = open_rival(cast(RivalName, name), spec.input, spec.n_cameras, threads, Path(folder), engine)
        size = f"{spec.n_cameras} x {rival.height_px} x {rival.width_px}"
        yield f"{rival.label}, {size}, {engine} fp32", rival.graph.run


def in_turns(own: Callable[[], object], other: Callable[[], object], runs: int) -> tuple[float, float]:
    """Return the median times of two works in milliseconds, timed in turns after a warm-up of each."""
    for work in (own, other):
        until = time.perf_counter() + WARM_UP_S
        work()
        while time.perf_counter() < until:
            work()
    own_ms, other_ms = np.median([(_ms(own), _ms(other)) for _ in range(runs)], axis=0)
    return float(own_ms), float(other_ms)


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - started)
