"""The whole way in small: render, train by the real command, score, compare; then again without work."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("open3d", reason="rendering needs the [sim] extra")

from surround_depth.studies.config import StudyConfig
from surround_depth.studies.data import render_set
from surround_depth.studies.results import read_results
from surround_depth.studies.run import runs_of
from surround_depth.studies.runs import complete
from surround_depth.studies.table import markdown
from surround_depth.studies.trainer import Scoring


@pytest.mark.slow
def test_a_study_from_seeds_to_table(
    make_study: Callable[..., StudyConfig], tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: Path, folder: Path) -> None:
        script = str(checkout / "tools" / "train_fsmde.py")
        monkeypatch.setattr(sys, "argv", [script, "--config", str(config), "--out", str(folder)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(script, run_name="__main__")
        assert not end.value.code

    study, drives = make_study(seeds=[0]), list[str]()
    for _ in range(2):
        for name, entry in study.sets.items():
            render_set(tmp_path / "data" / name, entry, drives.append)
    assert drives == ["scene-0010", "scene-0011", "scene-0020"]  # once
    outcomes = list(complete(runs_of(study, tmp_path), train, Scoring()))
    assert [outcome.error for outcome in outcomes] == [None, None]
    results = read_results(study, tmp_path)
    for row in study.rows:
        scored = results.rows[row].scores[0]["held"]
        assert set(scored) == {"clean", "dead", "corrupted"}
        assert 0.0 < scored["clean"]["abs_rel"]["scene-0020"] < 20.0
        assert scored["clean"]["overlap_abs_rel"]["scene-0020"] is not None
    assert "| flat " in markdown(results)
    assert "not judged" in markdown(results)  # one seed, one drive
