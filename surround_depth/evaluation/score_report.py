"""What an evaluation leaves: scores.json (everything), records.jsonl (every unit), scores.md (tables to read).

scores.json, schema version 1:

    protocol      the whole record of switches (metrics.protocols)
    dataset       kind, name, licence, version, hash of the own-body masks
    samples       n, sha256 of the list, split (name, sha256) or scenes, stride
    truth         kind, sha256 over every true value in the order of the list
    predictor     kind, name and the hash of what answered
    run           commit, command, versions
    counts        batches, coverage, and a line for every sample left out as damaged and every missing answer
    groups        group -> mean, per_camera, n_units, n_empty, n_pixels
    conditions    condition -> the same, over the drives it holds for
    baselines     name -> the same, for predictors that never look at an image

A number that does not exist is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from surround_depth.data import truth_sidecar
from surround_depth.data.network_truth import TruthKind
from surround_depth.data.sample import DriveDataset
from surround_depth.evaluation.conditions import means_by_condition
from surround_depth.evaluation.prediction_folder import DIGESTS, MISSING, answers_sha256
from surround_depth.evaluation.protocol_run import truth_sha256
from surround_depth.evaluation.shards import Share
from surround_depth.files import without_nan, write_atomic, write_json
from surround_depth.metrics.protocol_means import GroupMeans, protocol_means
from surround_depth.metrics.protocols import Protocol
from surround_depth.metrics.records import Record
from surround_depth.provenance import command_line, package_versions, source_commit

SCHEMA_VERSION = 1
SCORES_NAME, RECORDS_NAME, TABLES_NAME = "scores.json", "records.jsonl", "scores.md"


@dataclass(frozen=True)
class ScoreOrigin:
    """What was scored, against what, by which rule: what two results must share before they can be compared."""

    protocol: Protocol
    dataset: Mapping[str, str]
    samples: Mapping[str, Any]
    truth_kind: TruthKind
    predictor: Mapping[str, str]
    run: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {item.name: getattr(self, item.name) for item in fields(self)} | {"protocol": self.protocol.as_dict()}


def describe_dataset(kind: str, dataset: DriveDataset) -> dict[str, str]:
    """Return the facts of a data set that a result carries; DDAD has no version, and no masks are an empty hash.

    A rendered tree opened as the data set whose format it has is called rendered: its numbers are not that data set's.
    """
    facts = {key: str(getattr(dataset, key, "")) for key in ("version", "masks_sha256")}
    is_rendered = (Path(getattr(dataset, "root", "")) / truth_sidecar.FOLDER).is_dir()
    name = f"rendered streets ({dataset.name} format)" if is_rendered and kind != "synthetic" else dataset.name
    facts["rendered"] = "yes" if is_rendered else ""
    return {"kind": kind, "name": name, "licence": dataset.licence, **facts}


def describe_run() -> dict[str, Any]:
    """Return which code made the result, and how."""
    versions = package_versions(("surround_depth", "numpy", "opencv-python-headless", "onnxruntime", "torch"))
    return {"commit": source_commit(), "command": command_line(), "versions": versions}


@dataclass(frozen=True)
class ScoreReport:
    """One method's result by one protocol."""

    origin: ScoreOrigin
    share: Share
    conditions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Drive -> words."""
    baselines: Mapping[str, Share] = field(default_factory=dict)
    table_damage: tuple[str, ...] = ()
    """What the data set itself left out of its tables, one line each."""

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """Every record, in the order of the sample list."""
        return tuple(record for result in self.share.results.values() for record in result.records)

    @cached_property
    def groups(self) -> dict[str, GroupMeans]:
        """Group -> means."""
        return protocol_means(self.records, self.origin.protocol)

    @cached_property
    def by_condition(self) -> dict[str, dict[str, GroupMeans]]:
        """Condition -> group -> means."""
        return means_by_condition(self.records, self.conditions, self.origin.protocol)

    @cached_property
    def baseline_groups(self) -> dict[str, dict[str, GroupMeans]]:
        """Baseline -> group -> means."""
        return {name: _groups(share, self.origin.protocol) for name, share in self.baselines.items()}

    @cached_property
    def damage(self) -> tuple[str, ...]:
        """Rows and samples that were left out, one line each."""
        samples = (line for result in self.share.results.values() for line in result.damage)
        return (*self.table_damage, *samples)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """<frame_id>/<CAMERA> of answers that a prediction folder does not have."""
        return self.share.notes.get(MISSING, ())

    @property
    def predictor(self) -> dict[str, str]:
        """What answered; of a prediction folder with the hash of all it answered."""
        digests = self.share.notes.get(DIGESTS)
        return dict(self.origin.predictor) | ({"sha256": answers_sha256(digests)} if digests else {})

    @property
    def truth_sha256(self) -> str:
        """One hash for all truth."""
        return truth_sha256(result.truth_sha256 for result in self.share.results.values())

    @property
    def coverage(self) -> float:
        """Share of the scored truth that was answered; NaN without any."""
        return self.groups["metric"].mean.get("coverage", math.nan) if "metric" in self.groups else math.nan

    def as_dict(self) -> dict[str, Any]:
        """Return the content of scores.json."""
        origin = self.origin
        return {
            "schema_version": SCHEMA_VERSION,
            "protocol": origin.protocol.as_dict(),
            "dataset": dict(origin.dataset),
            "samples": dict(origin.samples),
            "truth": {"kind": origin.truth_kind, "sha256": self.truth_sha256},
            "predictor": self.predictor,
            "run": dict(origin.run),
            "counts": {
                "batches": len(self.share.results),
                "coverage": self.coverage,
                "damaged": self.damage,
                "missing": self.missing,
            },
            "groups": _tree(self.groups),
            "conditions": {word: _tree(groups) for word, groups in self.by_condition.items()},
            "baselines": {name: _tree(groups) for name, groups in self.baseline_groups.items()},
        }


def write_scores(folder: Path, report: ScoreReport) -> None:
    """Write scores.json and records.jsonl.

    Raises:
        DataError: the folder cannot be written.
    """
    lines = (json.dumps(without_nan(record.as_dict()), allow_nan=False) for record in report.records)
    write_atomic(folder / RECORDS_NAME, "".join(f"{line}\n" for line in lines).encode())
    write_json(folder / SCORES_NAME, report.as_dict())


def _groups(share: Share, protocol: Protocol) -> dict[str, GroupMeans]:
    return protocol_means((r for result in share.results.values() for r in result.records), protocol)


def _tree(groups: Mapping[str, GroupMeans]) -> dict[str, Any]:
    return {name: means.as_dict() for name, means in groups.items()}
