"""The shipped training configurations, and the command's first answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from surround_depth.config import load_config
from surround_depth.training.config import TrainConfig

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
