"""The shipped training configurations, and the command's first answers."""

from __future__ import annotations

import runpy
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from killable import finish, start_command

from surround_depth.config import load_config
from surround_depth.metrics.depth import NO_PIXELS
from surround_depth.training.config import TrainConfig
from surround_depth.training.process import start_processes
from surround_depth.training.validation import Validation

CONFIGS = sorted(p.stem for p in (Path(__file__).parents[2] / "surround_depth" / "configs" / "train").glob("*.yaml"))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_shipped_configuration_is_valid(name: str) -> None:
    config = load_config(TrainConfig, name, ["optim.steps=7", "student.preset=small"])
    assert config.name == name
    assert config.optim.steps == 7
    assert config.student.resolve().decoder_channels == (160, 96, 64, 48)


def test_missing_data_is_one_line_that_says_what_to_do(tmp_path: Path, checkout: Path) -> None:
    missing = tmp_path / "none"
    command = [sys.executable, str(checkout / "tools" / "train_fsmde.py"), "--config", "synthetic_demo"]
    command += ["--set", f"data.root={missing}", "--set", "data.render=false", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert f"python tools/make_synthetic.py --out {missing}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_validation_is_told_by_what_was_measured(checkout: Path) -> None:
    abs_rel_line = runpy.run_path(str(checkout / "tools" / "train_fsmde.py"))["abs_rel_line"]
    half, none = replace(NO_PIXELS, abs_rel=0.5, n_pixels=9), NO_PIXELS
    said = {
        kinds: abs_rel_line(Validation(*kinds, {}, 0.0))
        for kinds in ((half, half, half, half), (none, half, none, none), (none, none, none, half))
    }
    assert list(said.values()) == [
        "AbsRel 0.500 exact (training mean: 0.500), 0.500 LiDAR (training mean: 0.500)",
        "AbsRel 0.500 LiDAR",
        "no truth to validate on",
    ]


def test_the_main_process_speaks_before_torchrun_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    alone = start_processes("cpu", "fp32")
    alone.let_main_speak()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
    alone.let_main_speak()
    assert waited == [10.0]


def test_learning_by_heart_has_a_verdict(checkout: Path) -> None:
    by_heart = runpy.run_path(str(checkout / "tools" / "train_fsmde.py"))["by_heart"]
    none, good, bad = (
        NO_PIXELS,
        replace(NO_PIXELS, abs_rel=0.07, n_pixels=9),
        replace(NO_PIXELS, abs_rel=0.3, n_pixels=9),
    )
    assert "AbsRel 0.070 on what it learnt, below 0.10 is asked: it can" in by_heart(
        Validation(good, bad, none, none, {}, 0.0)
    )
    assert "0.300 on what it learnt, below 0.10 is asked: not" in by_heart(Validation(none, bad, good, good, {}, 0.0))
    assert "no truth" in by_heart(Validation(none, none, good, good, {}, 0.0))


@pytest.mark.slow
def test_rehearsals_say_in_a_line_what_they_found(box_tree: Path, checkout: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(
        f"name: tiny\ninput: {{height_px: 64, width_px: 96}}\ndata: {{root: {box_tree}}}\n"
        "optim: {steps: 20}\nwatch: {validate_every: 20}\n"
    )
    ways = {"dry": ["--dry-run"], "fit": ["--overfit", "1"]}
    for name, way in ways.items():
        arguments = ["--config", str(config), "--threads", "1", "--out", str(tmp_path / name), *way]
        command = start_command(checkout / "tools" / "train_fsmde.py", arguments, tmp_path / f"{name}.log")
        assert finish(command) == 0, (tmp_path / f"{name}.log").read_text()
    lines = {name: (tmp_path / f"{name}.log").read_text().splitlines() for name in ways}
    assert lines["dry"][-2] == "dry run passed: 2 steps of tiny-dry-run, validation, export, state and resume"
    assert lines["dry"][-1].startswith("most memory at once: ")
    assert not (tmp_path / "dry").exists()
    assert lines["fit"][-2].startswith("loss: ")
    assert "at the first step" in lines["fit"][-2]
    assert lines["fit"][-1].startswith("by heart? ")
