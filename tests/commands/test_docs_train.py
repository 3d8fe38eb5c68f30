"""What docs/train.md tells people to type: the options are there, and so is every configuration."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from surround_depth.config import load_config
from surround_depth.training.config import TrainConfig


@pytest.fixture(scope="module")
def text(checkout: Path) -> str:
    return (checkout / "docs" / "train.md").read_text()


def test_every_training_command_is_understood(text: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(checkout / "tools"))
    train_fsmde = __import__("train_fsmde")
    commands = re.findall(r"^.*tools/train_fsmde\.py (--.*)$", text, flags=re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        monkeypatch.setattr(sys, "argv", ["train_fsmde.py", *shlex.split(command, comments=True)])
        arguments = train_fsmde.parse_arguments()
        if arguments.config is not None:
            load_config(TrainConfig, arguments.config, arguments.set)


def test_the_table_lists_exactly_what_ships(text: str, checkout: Path) -> None:
    shipped = {path.stem for path in (checkout / "surround_depth" / "configs" / "train").glob("*.yaml")}
    rows = re.findall(r"^\| (`.*?) \|", text[text.index("## The shipped configurations") :], flags=re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(shipped)


def test_the_joint_example_is_a_configuration(text: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    path = tmp_path / "joint.yaml"
    path.write_text(f"name: joint\ninput: {{height_px: 352, width_px: 640}}\n{example}")
    assert [one.repeat for one in load_config(TrainConfig, path).data.sets().values()] == [1, 2]
