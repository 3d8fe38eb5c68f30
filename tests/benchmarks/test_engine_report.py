"""The report of one engine: its chain on frames that come by the clock, and one table under the other."""

from __future__ import annotations

import json
from pathlib import Path

from tiny_engine import write_tiny_engine

from surround_depth.benchmarks.against import Versus
from surround_depth.benchmarks.engine_report import EngineReport
from surround_depth.benchmarks.highest_rate import find_highest_rate
from surround_depth.benchmarks.rates import FrameChains, measure_rates
from surround_depth.export.benchmark import measure_engine
from surround_depth.export.frames import random_frames
from surround_depth.inference.backend import open_backend
from surround_depth.inference.manifest import load_manifest


def test_the_report_has_stages_rates_memory_and_rivals(tmp_path: Path) -> None:
    folder = write_tiny_engine(tmp_path / "engine")
    with open_backend(folder, threads=1) as backend:
        frames = random_frames(backend.spec, 1, dead_cameras=False, height_px=64, width_px=96)
        measurement = measure_engine(backend, load_manifest(folder), frames, n_runs=20, threads="1")
        chains = FrameChains(backend, frames)
        (rate,) = measure_rates(chains, [20.0], seconds=0.25)
        highest = find_highest_rate(chains, seconds=0.1)
    assert rate.n_due == 5
    assert rate.age_max_ms > 0
    assert rate.peak_memory_mib >= measurement.peak_memory_mib
    assert highest.throughput_hz > 0
    assert measurement.peak_memory_mib > 30  # an interpreter with numpy
    report = EngineReport(measurement, (rate,), highest, (Versus("dav2-s", "Depth Anything V2 S", 40.0, 2300.0, 10),))
    text = report.markdown()
    assert "| stage | p50 ms | p90 ms |" in text
    assert "| 20 | 5 |" in text
    assert "each tried for 0.1 s" in text
    assert "J per frame: " in text
    assert "| dav2-s: Depth Anything V2 S | 40.0 | 2300.0 | 57.50 |" in text
    plain = json.loads(json.dumps(report.as_json()))
    assert plain["highest_rate"]["throughput_hz"] == highest.throughput_hz
    assert plain["against"][0]["times_as_fast"] == 57.5
    alone = EngineReport(measurement, (), None, ())
    assert "overlap" not in alone.markdown()
    assert alone.as_json()["highest_rate"] is None
