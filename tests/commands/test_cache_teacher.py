"""The labelling command: killed and started again, or in two processes, it leaves the very files of one quiet run."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from box_tree import rendered
from box_world import BoxDrive, make_rig
from killable import finish, start_command
from whole_trees import write_nuscenes

CONFIG = """
name: tiny
input: {height_px: 256, width_px: 448}
coarse: {input: {height_px: 64, width_px: 96}}
data: {root: ROOT}
"""
N_LABELS = 16
KILLED = -9


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labels")
    rig = make_rig(("F", "B"))
    trains, validates = BoxDrive(rig=rig, n_samples=N_LABELS // 2), BoxDrive(rig=rig, n_samples=1)
    write_nuscenes(root / "tree", [rendered(trains, "scene-0001"), rendered(validates, "scene-0002")])
    path = root / "tiny.yaml"
    path.write_text(CONFIG.replace("ROOT", str(root / "tree")))
    return path


def arguments(config: Path, cache: Path, *more: str) -> list[str]:
    return ["--config", str(config), "--cache", str(cache), "--threads", "1", *more]


def files(cache: Path) -> dict[str, bytes]:
    return {path.relative_to(cache).as_posix(): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(config: Path, checkout: Path) -> dict[str, bytes]:
    cache, log = config.with_name("undisturbed"), config.with_name("undisturbed.log")
    command = start_command(checkout / "tools" / "cache_teacher.py", arguments(config, cache), log)
    assert finish(command) == 0, log.read_text()
    said = log.read_text()
    assert f"{cache}: {N_LABELS} labels made, 0 were there" in said
    assert f"{N_LABELS} samples: " in said
    assert "samples/s" in said
    assert f"next: python tools/train_fsmde.py --config {config} --set teacher.cache={cache}" in said
    found = files(cache)
    assert len(found) == N_LABELS + 2  # and whose they are, at either size
    return found


@pytest.mark.slow
def test_a_kill_leaves_no_trace(config: Path, undisturbed: dict[str, bytes], checkout: Path, tmp_path: Path) -> None:
    cache, log = tmp_path / "labels", tmp_path / "log"
    script = checkout / "tools" / "cache_teacher.py"
    command = start_command(script, arguments(config, cache, "--readers", "1"), log)
    deadline_s = time.monotonic() + 120.0
    while len(list(cache.rglob("*.label"))) < 3:
        assert command.is_alive(), log.read_text()
        assert time.monotonic() < deadline_s
        time.sleep(0.0005)
    command.kill()
    assert finish(command) == KILLED
    there = sorted(cache.rglob("*.label"))
    assert 3 <= len(there) < N_LABELS
    there[0].write_bytes(there[0].read_bytes()[:-1])  # as after a power cut
    assert finish(start_command(script, arguments(config, cache), log)) == 0, log.read_text()
    assert "(1 in place of damaged ones)" in log.read_text()
    assert f"{len(there) - 1} were there" in log.read_text()
    assert files(cache) == undisturbed


@pytest.mark.slow
def test_two_processes_leave_the_files_of_one(
    config: Path, undisturbed: dict[str, bytes], checkout: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    logs = [tmp_path / f"{rank}.log" for rank in (0, 1)]
    processes = [  # as torchrun starts them
        start_command(
            checkout / "tools" / "cache_teacher.py",
            arguments(config, tmp_path / "labels"),
            log,
            environment=shared | {"GLOO_SOCKET_IFNAME": "lo", "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank, log in enumerate(logs)
    ]
    assert [finish(process) for process in processes] == [0, 0], [log.read_text() for log in logs]
    said = [log.read_text().count(f"{N_LABELS} labels made, 0 were there") for log in logs]
    assert said == [1, 0]  # one of them speaks, for both
    assert files(tmp_path / "labels") == undisturbed


@pytest.mark.slow
def test_no_teacher_no_labels(config: Path, checkout: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = checkout / "tools" / "cache_teacher.py"
    command = start_command(
        script, arguments(config, tmp_path / "labels", "--set", "teacher.kind=none", "--set", "loss.kl=0"), log
    )
    assert finish(command) == 2
    assert log.read_text().splitlines()[-1].startswith("error: teacher.kind is 'none'")
