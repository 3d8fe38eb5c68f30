"""Curves of a study: means over seeds at steps that all have, losses in blocks, and a page that names its rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from surround_depth.studies.config import StudyConfig
from surround_depth.studies.curves import blocks, curves_page, mean_curve
from surround_depth.studies.run import runs_of
from surround_depth.studies.runs import complete


def test_blocks_are_means_of_equal_length() -> None:
    points = [(step, float(step)) for step in range(1, 8)]
    assert blocks(points, 3) == [(2, 1.5), (4, 3.5), (6, 5.5)]  # step 7 is a rest
    assert blocks(points[:2], 3) == [(1, 1.0), (2, 2.0)]
    assert blocks([], 3) == []


def test_the_mean_is_over_steps_that_all_seeds_have() -> None:
    assert mean_curve([[(1, 2.0), (2, 4.0), (3, 9.0)], [(1, 4.0), (2, 8.0)]]) == [(1, 3.0), (2, 6.0)]
    assert mean_curve([]) == []


def test_the_page_shows_each_row_beside_what_it_is_held_against(
    make_study: Callable[..., StudyConfig], tmp_path: Path
) -> None:
    def train(config: Path, folder: Path) -> None:
        (folder / "student").mkdir()
        (folder / "student" / "model.safetensors").write_text("x")
        lines = [json.dumps({"step": step, "terms": {"silog": 1.0 / step}}) for step in (1, 2)]
        (folder / "loss_curve.jsonl").write_text("\n".join(lines))
        (folder / "metrics.json").write_text(json.dumps([{"step": 2, "dense": {"abs_rel": 0.3}}]))

    study = make_study(rows={"default": {"what": "as it is"}, "a<b": {"what": "x"}, "unrun": {"what": "y"}}, seeds=[0])
    list(complete(runs_of(study, tmp_path, ["default", "a<b"]), train, lambda *_: {}))
    sections = curves_page(study, tmp_path).split("<section")[1:]
    assert ["a&lt;b: x" in sections[1], len(sections)] == [True, 2]
    assert [section.count("<polyline") for section in sections] == [2, 4]  # two charts: alone, beside the default
