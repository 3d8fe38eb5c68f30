"""Shares of a run: every batch once, in order again afterwards; failures and files of other runs are never merged."""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from surround_depth.errors import ConfigError, DataError
from surround_depth.evaluation.protocol_run import BatchResult
from surround_depth.evaluation.shards import ShardFolder, Share, Worker, fingerprint, reporting_failure
from surround_depth.metrics.records import Record

RUN = fingerprint(protocol="sd", data="a")


def result(batch: int) -> BatchResult:
    record = Record("scene", f"frame {batch}", batch, "F", "metric", {"abs_rel": 1 / 3 + batch, "rmse": math.nan}, 7)
    return BatchResult([record], f"{batch:064x}", (f"sample {batch} is damaged",))


def folders(out: Path, world: int) -> list[ShardFolder]:
    return [ShardFolder(out, RUN, Worker(rank, world, "launch 1")) for rank in range(world)]


def write_all(shards: list[ShardFolder], n_batches: int) -> None:
    for shard in shards:
        notes = {"missing": (f"of rank {shard.worker.rank}", "of both")}
        shard.write(Share({batch: result(batch) for batch in shard.worker.share(n_batches)}, notes))


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_together_they_are_one_run(tmp_path: Path, world: int) -> None:
    shards = folders(tmp_path, world)
    write_all(shards, 5)
    gathered = shards[0].gather(5, timeout_s=0.0)
    # NaN is not equal to itself; repr tells every digit of every number
    assert repr(gathered.results) == repr({batch: result(batch) for batch in range(5)})
    assert gathered.notes == {"missing": ("of both", *(f"of rank {rank}" for rank in range(world)))}
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_every_batch_is_somebodys(world: int) -> None:
    shares = [Worker(rank, world).share(5) for rank in range(world)]
    assert [batch for share in shares for batch in share] == list(range(5))


def test_rank_0_waits(tmp_path: Path) -> None:
    shards = folders(tmp_path, 2)
    write_all(shards[:1], 4)
    late = threading.Thread(target=lambda: (time.sleep(0.3), write_all(shards[1:], 4)))
    late.start()
    assert len(shards[0].gather(4, timeout_s=30.0).results) == 4
    late.join()


def test_missing_ranks_are_named(tmp_path: Path) -> None:
    shards = folders(tmp_path, 4)
    write_all([shards[0], shards[2]], 8)
    with pytest.raises(DataError, match="nothing from rank 1, 3 of 4"):
        shards[0].gather(8, timeout_s=0.0)


def test_a_failed_rank_is_not_waited_for(tmp_path: Path) -> None:
    mine, theirs = folders(tmp_path, 2)
    with pytest.raises(ZeroDivisionError), reporting_failure(tmp_path, theirs.worker):
        raise ZeroDivisionError("scene-0003 is damaged")
    with pytest.raises(DataError, match="rank 1 of 2 failed: scene-0003 is damaged"):
        mine.gather(2, timeout_s=1e6)
    again = [replace(shard, worker=replace(shard.worker, launch="launch 2")) for shard in (mine, theirs)]
    write_all(again, 2)  # started again it is another launch, which does not see the mark
    assert len(again[0].gather(2, timeout_s=0.0).results) == 2


@pytest.mark.parametrize("other", [{"run": fingerprint(protocol="vf", data="a")}, {"worker": Worker(1, 2, "launch 2")}])
def test_another_run_is_not_seen(tmp_path: Path, other: dict[str, object]) -> None:
    mine, theirs = folders(tmp_path, 2)
    write_all([mine, replace(theirs, **other)], 2)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="nothing from rank 1"):
        mine.gather(2, timeout_s=0.0)


def test_a_forged_share_is_refused(tmp_path: Path) -> None:
    mine, theirs = folders(tmp_path, 2)
    write_all([mine, theirs], 2)
    path = next(tmp_path.rglob("*-rank-001-of-002.json"))
    whole = json.loads(path.read_text())
    for content, complaint in (
        (json.dumps(whole | {"run": "0"}), "another run"),
        (json.dumps(whole | {"results": [{}]}), "not a share of an evaluation"),
        (json.dumps(whole | {"results": []}), "1 results do not make 2 batches"),
        (json.dumps(whole)[:-5], "not valid JSON"),
        ("[]", "another run"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=complaint):
            mine.gather(2, timeout_s=0.0)


def test_the_environment_of_torchrun() -> None:
    assert Worker.from_environment({}) == Worker(0, 1)
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "7"}
    worker = Worker.from_environment(torchrun)
    assert (worker.rank, worker.world, worker.local_rank, worker.local_world) == (3, 4, 1, 2)
    assert [list(Worker(rank, 3).share(7)) for rank in range(3)] == [[0, 1], [2, 3], [4, 5, 6]]
    assert Worker.from_environment(torchrun | {"MASTER_PORT": "1"}).launch != worker.launch
    assert Worker.from_environment(torchrun | {"LOCAL_WORLD_SIZE": "4"}).launch != worker.launch


def test_launches_that_nothing_tells_apart_are_refused() -> None:
    """Shares of an earlier launch would be merged; on one machine the parent process tells."""
    for name in ({}, {"TORCHELASTIC_RUN_ID": "none"}):
        with pytest.raises(ConfigError, match="set TORCHELASTIC_RUN_ID"):
            Worker.from_environment({"RANK": "0", "WORLD_SIZE": "2", **name})
    Worker.from_environment({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"})
    Worker.from_environment({"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "val-7"})


@pytest.mark.parametrize(
    "environment",
    [
        {"RANK": "0"},
        {"WORLD_SIZE": "2"},
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "first"},
    ],
)
def test_half_an_environment_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="RANK"):
        Worker.from_environment(environment)
