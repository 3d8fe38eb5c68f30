"""The tables of a study whose scores are known: means over seeds, differences, marks, failures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from surround_depth.errors import DataError
from surround_depth.files import write_json
from surround_depth.studies.config import StudyConfig
from surround_depth.studies.results import HIGHER_IS_BETTER, Results, read_results
from surround_depth.studies.run import runs_of
from surround_depth.studies.runs import complete
from surround_depth.studies.scoring import DEPTH_MEASURES, MEASURES
from surround_depth.studies.table import as_dict, markdown

DRIVES = [f"scene-{i:04d}" for i in range(20, 25)]
FACTOR = {"default": 1.0, "better": 0.5, "same": 1.0}
"""What every error of a row is multiplied by."""


def train(config: Path, folder: Path) -> None:
    if "broken" in folder.name:
        raise DataError("no data")
    (folder / "student").mkdir(exist_ok=True)
    (folder / "student" / "model.safetensors").write_text(folder.name)


def score(checkpoint: Path, study: StudyConfig, data: Path) -> Mapping[str, Any]:
    row, seed = checkpoint.parent.name.rsplit("-", 1)
    # seeds 0 and 1 differ by a factor of 1 and 1.1, drives by 1 to 5
    errors = {d: FACTOR[row] * 0.01 * (1.0 + 0.1 * int(seed)) * (i + 1) for i, d in enumerate(DRIVES)}
    shares = dict.fromkeys(DRIVES, 0.5 / FACTOR[row])  # delta1: higher is better
    rise = {"default": [1.01] * 5, "better": [1.03] * 5, "same": [1.0, 1.03, 1.0, 1.03, 1.015]}[row]
    return {
        "held": {
            "clean": {name: shares if name in HIGHER_IS_BETTER else errors for name in MEASURES},
            "corrupted": dict.fromkeys(DEPTH_MEASURES, errors),
            "dead": {
                "abs_rel": {d: factor * errors[d] for d, factor in zip(DRIVES, rise, strict=True)},
                "abs_rel_all_alive": errors,
            },
        }
    }


@pytest.fixture
def results(make_study: Callable[..., StudyConfig], tmp_path: Path) -> Results:
    rows = {name: {"what": f"the row {name}"} for name in ("default", "same", "broken", "unrun")}
    rows["better"] = {"what": "half the error", "against": ["default", "same", "unrun"]}
    study = make_study(rows=rows)
    list(complete(runs_of(study, tmp_path, ["default", "better", "same", "broken"]), train, score))
    return read_results(study, tmp_path)


def cells(text: str, heading: str, row: str) -> list[list[str]]:
    """Return the cells of the lines of `row` in the table after `heading`."""
    table = text.partition(heading)[2].partition("\n\n")[2].partition("\n\n")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [line for line in lines if line[0] == row]


def test_means_and_differences(results: Results) -> None:
    text = markdown(results)
    # mean over drives 1 to 5 is 3, over seeds 1.05: 0.01 * 3 * 1.05
    (default,) = cells(text, "As rendered:", "default")
    assert default[1:6] == ["0.0315", "-", "-", "-", "-"]
    first, second, third = cells(text, "As rendered:", "better")
    # every seed and drive says one half
    assert first[1:6] == ["0.0158", "default", "-50.0%", "-50.0% to -50.0%", "better"]
    assert second[2:6] == ["same", "-50.0%", "-50.0% to -50.0%", "better"]
    assert third[2:6] == ["unrun", "-", "-", "-"]
    assert first[8] == "1 +"  # delta1 doubled
    assert set(second[6:]) == {""}
    # four errors halved, 50 % each, and three shares doubled, 100 % each: 500 / 7
    gains = cells(text, "Mean gain in AbsRel", "better")
    assert gains[0][1:] == ["default", "+71.4%", "+71.4% to +71.4%", "better"]
    assert [line[1] for line in gains] == ["default", "same"]  # nothing against what was not run
    (same,) = cells(text, "As rendered:", "same")
    assert same[5] == "no difference"
    assert same[8] == "0.5"


def test_a_dead_camera_may_cost_two_percent(results: Results) -> None:
    text = markdown(results)
    heading = "One camera dead"
    assert cells(text, heading, "default") == [["default", "0.0315", "0.0318", "+1.0%", "+1.0% to +1.0%", "yes"]]
    assert cells(text, heading, "better")[0][3:] == ["+3.0%", "+3.0% to +3.0%", "no"]
    # drives of weight 1 to 5 that rise by 0, 3, 0, 3 and 1.5 %: 1.7 % here, and for other drives perhaps more than 2 %
    assert cells(text, heading, "same")[0][3::2] == ["+1.7%", "not sure"]


def test_a_seed_without_values_has_no_mean(make_study: Callable[..., StudyConfig], tmp_path: Path) -> None:
    def score_seed(checkpoint: Path, study: StudyConfig, data: Path) -> Mapping[str, Any]:
        scores = dict(score(checkpoint, study, data))
        if checkpoint.parent.name.endswith("-1"):
            scores["held"]["clean"]["ause"] = dict.fromkeys(DRIVES, math.nan)
        return scores

    study = make_study(rows={"default": {"what": "as it is"}})
    list(complete(runs_of(study, tmp_path), train, score_seed))
    seeds = read_results(study, tmp_path).seed_means("default", "held", "clean", "ause")
    assert seeds[0] == pytest.approx(0.03)
    assert math.isnan(seeds[1])


def test_what_failed_or_never_ran_is_said(results: Results) -> None:
    text = markdown(results)
    assert "- `broken` (not run): the row broken\n  - seed 0 failed: no data\n  - seed 1 failed: no data" in text
    assert "- `unrun` (not run)" in text
    assert not re.search("^.broken", text.partition("## held")[2], re.MULTILINE)


def test_the_json_has_every_seed_and_drive(results: Results, tmp_path: Path) -> None:
    tree = as_dict(results)
    write_json(tmp_path / "table.json", tree)  # plain values
    row = tree["rows"]["better"]
    found = row["means"]["held/clean/abs_rel"]
    assert found["mean"] == pytest.approx(0.01575)
    assert found["seeds"] == pytest.approx({"0": 0.015, "1": 0.0165})
    assert row["against"]["default"]["held/corrupted/rmse"]["verdict"] == "better"
    assert row["scores"]["1"]["held"]["clean"]["abs_rel"]["scene-0024"] == pytest.approx(0.0275)


def test_validation_chooses_and_scores_do_not(make_study: Callable[..., StudyConfig], tmp_path: Path) -> None:
    """`better` scores best and validates worst; `same` lacks a seed; `wide` is the teacher."""
    errors = {"default": 0.3, "better": 0.4, "same": 0.1, "wide": 0.05}

    def validated(config: Path, folder: Path) -> None:
        train(config, folder)
        error = errors[folder.name.rsplit("-", 1)[0]]
        write_json(folder / "metrics.json", [{"dense": {"abs_rel": 9.0}}, {"dense": {"abs_rel": error}}])

    study = make_study(rows={name: {"what": name} for name in errors}, teacher="wide")
    list(complete(runs_of(study, tmp_path, ["default", "better"]), validated, score))
    list(complete(runs_of(study, tmp_path, ["same", "wide"], [0]), validated, lambda *_: {}))
    results = read_results(study, tmp_path)
    assert results.validation["better"] == pytest.approx(0.4)
    assert results.winner() == "default"
