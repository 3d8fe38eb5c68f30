"""Several processes train as one: the same weights as one that accumulates, and one line when one of them fails."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from killable import finish, start_command
from safetensors.numpy import load_file

CONFIG = """
name: tiny
input: {height_px: 64, width_px: 96}
loss: {privileged: {response: 0.5}}  # learns something beside the student
data: {root: ROOT, cache: false}
optim: {steps: 3, settle: 1.0}
watch: {validate_every: 3, save_every: 2, n_val_samples: 1}
"""
LOCAL = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def arguments(box_tree: Path, tmp_path: Path) -> list[str]:
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG.replace("ROOT", str(box_tree)))
    return ["--config", str(path), "--threads", "1"]


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one_that_accumulates_two(
    arguments: list[str], checkout: Path, tmp_path: Path
) -> None:
    script = checkout / "tools" / "train_fsmde.py"
    one = start_command(
        script, [*arguments, "--set", "optim.accumulation=2", "--out", str(tmp_path / "one")], tmp_path / "one.log"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    two = subprocess.run(
        [*launch, str(script), *arguments, "--out", str(tmp_path / "two")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=os.environ | LOCAL,
    )
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("student: ") == 1  # one of them speaks
    assert finish(one) == 0, (tmp_path / "one.log").read_text()
    state = "state/step-00000003/student.safetensors"
    expected, found = (load_file(tmp_path / name / state) for name in ("one", "two"))
    start = load_file(tmp_path / "one" / "state" / "step-00000002" / "student.safetensors")
    moved = max(float(np.abs(expected[name] - start[name]).max()) for name in expected if "weight" in name)
    assert moved > 1e-4  # or the comparison would say nothing
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    beside = "state/step-00000003/adapters.safetensors"
    ours, theirs = (load_file(tmp_path / name / beside) for name in ("one", "two"))
    assert any(np.abs(value).max() > 0 for value in ours.values())  # they start at zero
    for name, value in ours.items():
        np.testing.assert_allclose(theirs[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_what_fails_on_one_process_ends_all_with_one_line(
    arguments: list[str], box_tree: Path, checkout: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(box_tree, tree)
    first = sorted((tree / "samples").rglob("*.jpg"))[0]  # of the training scene: one of the two draws it at step 0
    first.write_bytes(b"not a picture")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs = [tmp_path / f"{rank}.log" for rank in (0, 1)]
    processes = [
        start_command(
            checkout / "tools" / "train_fsmde.py",
            [*arguments, "--set", f"data.root={tree}", "--out", str(tmp_path / "out")],
            log,
            environment=LOCAL
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank, log in enumerate(logs)
    ]
    assert [finish(process) for process in processes] == [2, 2], [log.read_text() for log in logs]
    said = [line for log in logs for line in log.read_text().splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert first.name in said[0]
    assert "Traceback" not in logs[0].read_text() + logs[1].read_text()
