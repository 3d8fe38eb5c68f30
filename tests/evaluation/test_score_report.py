"""Reports of records made by hand: what is written, what is shown, what is remarked on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hand_scores import drives, record, report

from surround_depth.evaluation.protocol_run import BatchResult
from surround_depth.evaluation.score_compare import read_scores
from surround_depth.evaluation.score_report import write_scores
from surround_depth.evaluation.score_sections import markdown, remarks, sections
from surround_depth.metrics.protocols import protocol


def test_scores_json_holds_what_tells_results_apart(tmp_path: Path) -> None:
    write_scores(tmp_path, report([*drives(), record(0, "A", math.nan, "overlap")]))
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["protocol"] == json.loads(json.dumps(protocol("strict").as_dict()))
    assert found["groups"]["metric"]["per_camera"]["A"]["abs_rel"] == pytest.approx(0.25)
    assert found["groups"]["metric"]["mean"]["abs_rel"] == pytest.approx(0.375)
    assert found["groups"]["overlap"]["per_camera"]["A"].get("abs_rel") is None
    assert found["truth"]["kind"] == "lidar"
    saved = read_scores(tmp_path)
    assert [r.values["abs_rel"] for r in saved.records[:3]] == pytest.approx([0.1, 0.2, math.nan], nan_ok=True)


def test_the_tables_in_the_fields_layout() -> None:
    lines = markdown(report([*drives(), *[replace(r, group="median") for r in drives()]])).splitlines()
    header = next(line for line in lines if "AbsRel" in line and line.startswith("|"))
    titles = [cell.strip() for cell in header.strip("|").split("|")]
    assert titles[1:8] == ["AbsRel", "SqRel m", "RMSE m", "RMSElog", "δ<1.25", "δ<1.25²", "δ<1.25³"]
    assert sum(line.startswith(("| net, metric", "| net, median")) for line in lines) == 2
    assert any(line.startswith("| mean") and "0.375" in line for line in lines)
    assert (
        "Metric AbsRel 0.375, 88% interval 0.150 to 0.600 over 4 drives (so few drives cannot carry 95 %)."
        in " ".join(lines)
    )  # the best, the worst


def test_only_what_was_measured_appears() -> None:
    assert [s.title for s in sections(report(drives()))] == ["Scores", "Camera by camera"]
    extra = [record(0, "A", 0.1, "band 0-10 m"), record(0, "A", 0.1, "overlap"), record(0, "", 0.3, "cloud")]
    night = replace(report([*drives(), *extra]), conditions={"d0": ("night",), "d1": ()})
    found = {s.title: s for s in sections(night)}
    assert {"By distance", "Between cameras", "By condition", "More than depth errors"} <= found.keys()
    assert found["By condition"].tables[0].table.rows[0][:2] == ("night (1 drive)", "0.150")
    assert found["More than depth errors"].tables[0].table.rows[0] == ("AbsRel", "0.300")


def test_a_reader_is_warned() -> None:
    assert remarks(report(drives())) == ()
    half = [replace(r, values={**r.values, "coverage": 0.5}) for r in drives()]
    missing = {"missing_answers": ("f0/A", "f0/B")}
    found = report([*half, record(8, "A", math.nan, coverage=math.nan)], notes=missing)
    damaged = {**found.share.results, 9: BatchResult(damage=("d4 sample 9: x.jpg is damaged",))}
    texts = remarks(replace(found, share=replace(found.share, results=damaged)))
    assert "50.00 %" in texts[0]
    assert texts[1].startswith("1 of 17 images")
    assert texts[2].endswith("x.jpg is damaged")
    assert texts[3] == "2 answers missing; the first: f0/A"


def test_a_reader_is_told_of_scenes_that_were_trained_on() -> None:
    found = report(drives())
    for told, n_remarks in (("2 of the 4 scored scenes, by name", 1), ("0 of the 4 scored scenes, by name", 0)):
        predictor = {**found.origin.predictor, "trained_on": told}
        assert len(remarks(replace(found, origin=replace(found.origin, predictor=predictor)))) == n_remarks


def test_remarks_on_lists_data_and_doubtful_numbers() -> None:
    """vf pools four: of eight samples two batches; the second reaches over drives d0 and d1."""
    batched = [replace(record(i, "A", 0.2), sequence=name) for i, name in ((0, "d0"), (4, "d0 + d1"))]
    batched += [replace(r, group="shared", values={**r.values, "ratio": 190.0}) for r in batched]
    batched = [replace(r, values={**r.values, "a1": 0.0}) for r in batched]
    found = report(batched, rule="vf")
    origin = replace(
        found.origin, samples={**found.origin.samples, "n": 10}, dataset={**found.origin.dataset, "kind": "synthetic"}
    )
    text = " ".join(remarks(replace(found, origin=origin)))
    assert "2 of 10 samples make no whole batch of 4 and are not scored" in text
    assert "1 of 2 batches reach over several drives" in text
    assert "No published number is over this data" in text
    assert "off by a factor of about 190, and 0.0% lie within 25 %" in text
    assert remarks(report(drives())) == ()
