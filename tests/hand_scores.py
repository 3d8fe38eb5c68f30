"""Score reports made by hand: four drives of two samples, two cameras, errors that can be added up in the head."""

from __future__ import annotations

import math
from pathlib import Path

from surround_depth.evaluation.protocol_run import BatchResult
from surround_depth.evaluation.score_report import ScoreOrigin, ScoreReport, write_scores
from surround_depth.evaluation.shards import Share
from surround_depth.metrics.protocols import protocol
from surround_depth.metrics.records import Record

NAMES = ("sq_rel", "rmse", "rmse_log", "a1", "a2", "a3", "silog")


def record(index: int, camera: str, abs_rel: float, group: str = "metric", coverage: float = 1.0) -> Record:
    """Return a record of drive "d<index // 2>": two samples a drive."""
    values = {"abs_rel": abs_rel, **dict.fromkeys(NAMES, 0.5), "coverage": coverage, "ratio": 1.0}
    return Record(f"d{index // 2}", f"f{index}", index, camera, group, values, 0 if math.isnan(abs_rel) else 10)


def report(
    records: list[Record], name: str = "net", rule: str = "strict", truth: str = "a", **share: object
) -> ScoreReport:
    origin = ScoreOrigin(
        protocol=protocol(rule),
        dataset={"kind": "nuscenes", "name": "nuScenes", "version": "v1.0", "licence": "none"},
        samples={"n": 8, "n_sequences": 4, "sha256": "s" * 64, "stride": 1, "scenes": "d0 d1 d2 d3"},
        truth_kind="lidar",
        predictor={"kind": "engine", "name": name, "sha256": "e" * 64},
        run={"commit": "abc"},
    )
    results = {r.index: BatchResult([q for q in records if q.index == r.index], truth) for r in records}
    return ScoreReport(origin, Share(results, **share))  # type: ignore[arg-type]


def drives(offset: float = 0.0, n: int = 4) -> list[Record]:
    """Return the records of `n` drives, two cameras; camera A's AbsRel is 0.1 (d0), 0.2 (d1) ..., B's twice that."""
    slopes = {"A": 0.1, "B": 0.2}
    return [record(i, name, slope * (i // 2 + 1) + offset) for i in range(2 * n) for name, slope in slopes.items()]


def saved(folder: Path, found: ScoreReport) -> Path:
    write_scores(folder, found)
    return folder
