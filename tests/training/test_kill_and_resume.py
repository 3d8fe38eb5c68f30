"""The command, killed at any moment or out of disk, goes on with --resume to the very bits of the undisturbed run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from killable import finish, start_command

N_STEPS = 12
CONFIG = f"""
name: tiny
input: {{height_px: 96, width_px: 128}}
coarse: {{input: {{height_px: 64, width_px: 96}}, share: 0.34}}
loss: {{privileged: {{response: 0.5}}}}  # learns something beside the student
data: {{root: ROOT}}
optim: {{steps: {N_STEPS}, settle: 0.5}}
watch: {{validate_every: 6, save_every: 2, n_val_samples: 1, log_every: 1}}
"""
KILLED = -9
_STATE = ("student", "average", "adapters", "optimizer", "rng")


class Command:
    """`train_fsmde.py` on one tiny tree, into one folder."""

    def __init__(self, script: Path, config: Path, out: Path) -> None:
        self.script, self.config, self.out = script, config, out
        self.log = out.with_suffix(".log")

    def start(self, *more: str, **limits: int) -> object:
        arguments = ["--config", str(self.config), "--out", str(self.out), "--threads", "1", *more]
        return start_command(self.script, arguments, self.log, **limits)

    def outcome(self) -> dict[str, bytes]:
        """Return all that must not depend on what happened to the run."""
        names = ("loss_curve.jsonl", "metrics.json", "student/model.safetensors")
        names += tuple(f"state/step-{N_STEPS:08d}/{n}.safetensors" for n in _STATE)
        return {name: (self.out / name).read_bytes() for name in names}

    def n_lines(self) -> int:
        curve = self.out / "loss_curve.jsonl"
        return curve.read_bytes().count(b"\n") if curve.exists() else 0

    def writes_a_state(self) -> bool:
        return any((self.out / "state").glob(".step-*/new/student.safetensors"))


@pytest.fixture(scope="module")
def config(box_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.yaml"
    path.write_text(CONFIG.replace("ROOT", str(box_tree)))
    return path


@pytest.fixture(scope="module")
def undisturbed(config: Path, checkout: Path) -> dict[str, bytes]:
    command = Command(checkout / "tools" / "train_fsmde.py", config, config.with_name("undisturbed"))
    assert finish(command.start()) == 0, command.log.read_text()  # type: ignore[arg-type]
    return command.outcome()


def kill_when(command: Command, happened: Callable[[], bool], *more: str) -> None:
    process = command.start(*more)
    deadline_s = time.monotonic() + 120.0
    while not happened():
        assert process.is_alive() and time.monotonic() < deadline_s, command.log.read_text()  # type: ignore[attr-defined]  # noqa: PT018
        time.sleep(0.0005)
    process.kill()  # type: ignore[attr-defined]
    assert finish(process) == KILLED  # type: ignore[arg-type]


@pytest.mark.slow
def test_kills_leave_no_trace_in_curve_weights_and_optimiser(
    config: Path, undisturbed: dict[str, bytes], checkout: Path, tmp_path: Path
) -> None:
    command = Command(checkout / "tools" / "train_fsmde.py", config, tmp_path / "killed")
    kill_when(command, command.writes_a_state)
    rng = random.Random(4)
    resume: tuple[str, ...] = ("--resume",) if list(command.out.glob("state/step-*")) else ()
    for n_lines in sorted(rng.sample(range(2, N_STEPS), 3)):  # coarse, full size, settled
        delay_s = rng.uniform(0.0, 0.15)

        def some_time_after(n: int = n_lines, wait_s: float = delay_s) -> bool:
            if command.n_lines() < n:
                return False
            time.sleep(wait_s)
            return True

        kill_when(command, some_time_after, *resume)
        resume = ("--resume",)
    assert finish(command.start("--resume")) == 0, command.log.read_text()  # type: ignore[arg-type]
    assert "going on after step" in command.log.read_text()
    assert command.outcome() == undisturbed
    assert not list((command.out / "state").glob(".step-*"))


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_loses_nothing(
    config: Path, undisturbed: dict[str, bytes], checkout: Path, tmp_path: Path
) -> None:
    command = Command(checkout / "tools" / "train_fsmde.py", config, tmp_path / "full")
    assert finish(command.start(largest_file_bytes=6_000_000)) == 2  # type: ignore[arg-type]  # AdamW's moments need 9 MB
    last_line = command.log.read_text().splitlines()[-1]
    assert last_line.startswith(f"error: {command.out} takes no more at step 2 (File too large)")
    assert "--resume" in last_line
    assert "Traceback" not in command.log.read_text()
    assert [path.name for path in (command.out / "state").iterdir()] == ["step-00000000"]
    assert finish(command.start("--resume")) == 0, command.log.read_text()  # type: ignore[arg-type]
    assert command.outcome() == undisturbed
