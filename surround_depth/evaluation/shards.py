"""One evaluation spread over processes: which batches are mine, and how the results come together without torch.

`torchrun` tells every process its rank by environment variables; nothing else of it is needed. A batch (the images
whose pixels a protocol pools) is never split, and each rank takes neighbouring ones, so that what compares a moment
with the one before finds it at hand. Every rank leaves one file; rank 0 waits for all of them and puts the batches back
in order, so the result is that of one process, record for record.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from surround_depth.data.paths import read_json
from surround_depth.errors import ConfigError, DataError
from surround_depth.evaluation.protocol_run import BatchResult
from surround_depth.files import write_atomic
from surround_depth.metrics.records import Record

DEFAULT_TIMEOUT_S = 3600.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Worker:
    """This process among those of one launch.

    Raises:
        ConfigError: the rank is not below the number of processes.
    """

    rank: int = 0
    world: int = 1
    launch: str = ""
    """The same for all processes of one launch, another for the next: files of an earlier launch are not ours."""
    local_rank: int = 0
    """Rank among the processes of this machine: which of its GPUs is ours."""
    local_world: int = 1
    """Processes that share this machine's cores."""

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ConfigError(f"RANK {self.rank} of WORLD_SIZE {self.world}: expected 0 <= RANK < WORLD_SIZE")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return what `torchrun` says of this process; one process alone where it says nothing.

        Raises:
            ConfigError: RANK or WORLD_SIZE is not a number, only one of them is there, or nothing tells this launch
                from the one before.
        """
        rank, world = environment.get("RANK"), environment.get("WORLD_SIZE")
        if rank is None and world is None:
            return cls()
        if rank is None or world is None or not (rank.isdecimal() and world.isdecimal()):
            raise ConfigError(f"RANK is {rank!r}, WORLD_SIZE {world!r}: torchrun sets both; set both or none")
        names = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")
        launch = [environment.get(name, "") for name in names]
        if environment.get("LOCAL_WORLD_SIZE") == world:
            # On one machine all ranks have one parent; torchrun's own id is "none" unless somebody gives one.
            launch.append(str(os.getppid()))
        local = [environment.get(name, default) for name, default in (("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))]
        if not all(number.isdecimal() for number in local):
            raise ConfigError(f"LOCAL_RANK, LOCAL_WORLD_SIZE are {local}; torchrun sets numbers")
        worker = cls(int(rank), int(world), "/".join(launch), int(local[0]), max(1, int(local[1])))
        has_name = environment.get("TORCHELASTIC_RUN_ID", "none") not in ("", "none")
        if worker.world > 1 and not has_name and environment.get("LOCAL_WORLD_SIZE") != world:
            raise ConfigError(
                f"WORLD_SIZE is {world} and nothing tells this launch from an earlier one: set TORCHELASTIC_RUN_ID to "
                "one new value for all processes (torchrun --rdzv_id=VALUE)"
            )
        return worker

    def share(self, n_batches: int) -> range:
        """Return the batches of this process: neighbouring ones, as many as the others have, or one more."""
        return range(n_batches * self.rank // self.world, n_batches * (self.rank + 1) // self.world)


@dataclass(frozen=True)
class Share:
    """What one process, or all of them together, made of its batches."""

    results: Mapping[int, BatchResult]
    """Number of the batch -> what came of it, in ascending order."""
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What else is to be told, for example "missing predictions"; a line each."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "results": [{"batch": batch, **_tree_of(result)} for batch, result in self.results.items()],
            "notes": {name: list(lines) for name, lines in self.notes.items()},
        }

    @classmethod
    def from_dict(cls, tree: Any) -> Self:
        """Return the share that `as_dict` wrote.

        Raises:
            DataError: it is something else.
        """
        try:
            results = {int(item["batch"]): _result_of(item) for item in tree["results"]}
            return cls(results, {str(name): tuple(map(str, lines)) for name, lines in tree["notes"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not a share of an evaluation ({error}): {str(tree)[:80]}") from error


def joined(shares: Iterable[Share]) -> Share:
    """Return all shares as one, batches in order, lines sorted."""
    shares = list(shares)
    results = {batch: result for share in shares for batch, result in share.results.items()}
    notes = {
        name: tuple(sorted({line for share in shares for line in share.notes.get(name, ())}))
        for name in sorted({name for share in shares for name in share.notes})
    }
    return Share({batch: results[batch] for batch in sorted(results)}, notes)


def fingerprint(**facts: object) -> str:
    """Return the SHA-256 of everything that a result depends on: shards of another run never have it."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def launch_folder(out: Path, worker: Worker) -> Path:
    """Return where the processes of one launch leave their shares and marks."""
    return out / f"shards-{fingerprint(launch=worker.launch)[:16]}"


@contextmanager
def reporting_failure(out: Path, worker: Worker) -> Iterator[None]:
    """Leave a mark when the body raises in one of several processes, so that rank 0 does not wait for it."""
    try:
        yield
    except BaseException as error:
        if worker.world > 1 and worker.rank > 0:
            mark = launch_folder(out, worker) / _failure_name(worker.rank)
            write_atomic(mark, (str(error) or type(error).__name__).encode())
        raise


@dataclass(frozen=True)
class ShardFolder:
    """Where the processes leave their shares of one run: `OUT/shards-<launch>/<run>-rank-000-of-004.json`."""

    out: Path
    run: str
    """The run's `fingerprint`."""
    worker: Worker

    @property
    def path(self) -> Path:
        """The folder."""
        return launch_folder(self.out, self.worker)

    def write(self, share: Share) -> None:
        """Leave the share of this process."""
        tree = {"run": self.run, **share.as_dict()}
        write_atomic(self._share(self.worker.rank), json.dumps(tree).encode())

    def gather(self, n_batches: int, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Share:
        """Wait for the shares of all processes, return them as one, and remove the folder.

        Raises:
            DataError: a process failed, did not finish within `timeout_s`, or left something else than its share.
        """
        missing, until = list(range(self.worker.world)), time.monotonic() + timeout_s
        while missing := [rank for rank in missing if not self._share(rank).exists()]:
            self._require_no_failure()
            if time.monotonic() > until:
                raise DataError(
                    f"{self.path}: after {timeout_s:g} s there is nothing from rank {_listed(missing)} of "
                    f"{self.worker.world}; look at what they printed, and start again"
                )
            time.sleep(_POLL_S)
        whole = joined(self._read(rank) for rank in range(self.worker.world))
        if list(whole.results) != list(range(n_batches)):
            raise DataError(f"{self.path}: {len(whole.results)} results do not make {n_batches} batches; start again")
        for rank in range(self.worker.world):
            self._share(rank).unlink(missing_ok=True)
        with suppress(OSError):  # another run of this launch still needs it
            self.path.rmdir()
        return whole

    def _read(self, rank: int) -> Share:
        path = self._share(rank)
        tree = read_json(path)
        if not isinstance(tree, dict) or tree.get("run") != self.run:
            raise DataError(f"{path} is of another run; remove {self.path} and start again")
        return Share.from_dict(tree)

    def _require_no_failure(self) -> None:
        for rank in range(1, self.worker.world):
            mark = self.path / _failure_name(rank)
            if mark.exists():
                raise DataError(f"rank {rank} of {self.worker.world} failed: {mark.read_text()}")

    def _share(self, rank: int) -> Path:
        return self.path / f"{self.run[:16]}-rank-{rank:03d}-of-{self.worker.world:03d}.json"


def _failure_name(rank: int) -> str:
    return f"rank-{rank:03d}.failed"


def _tree_of(result: BatchResult) -> dict[str, Any]:
    return {
        "records": [record.as_dict() for record in result.records],
        "truth_sha256": result.truth_sha256,
        "damage": list(result.damage),
    }


def _result_of(tree: Mapping[str, Any]) -> BatchResult:
    records = [Record.from_dict(record) for record in tree["records"]]
    return BatchResult(records, str(tree["truth_sha256"]), tuple(map(str, tree["damage"])))


def _listed(ranks: Sequence[int]) -> str:
    return ", ".join(map(str, ranks))
