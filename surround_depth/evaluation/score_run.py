"""Score a list of batches, alone or as one of several processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from surround_depth.evaluation.protocol_run import Batch, Evaluator
from surround_depth.evaluation.shards import DEFAULT_TIMEOUT_S, ShardFolder, Share

Notes = Mapping[str, tuple[str, ...]]


def score_batches(
    evaluator: Evaluator,
    batches: Sequence[Batch],
    shards: ShardFolder,
    *,
    notes: Callable[[], Notes] = dict,
    progress: Callable[[int, int], None] = lambda done, total: None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Share | None:
    """Return what came of all batches; None in every process but the one of rank 0, which waits for the others.

    Args:
        notes: what else is to be told once the batches of this process are done.
        progress: called with (batches done, batches of this process) after each batch.

    Raises:
        DataError: what `Evaluator.score` raises; or another process failed or is late.
    """
    if shards.worker.world == 1:
        return _own_share(evaluator, batches, shards, notes, progress)
    with shards.reporting_failure():
        shards.write(_own_share(evaluator, batches, shards, notes, progress))
    return shards.gather(len(batches), timeout_s=timeout_s) if shards.worker.rank == 0 else None


def _own_share(
    evaluator: Evaluator,
    batches: Sequence[Batch],
    shards: ShardFolder,
    notes: Callable[[], Notes],
    progress: Callable[[int, int], None],
) -> Share:
    own = shards.worker.share(len(batches))
    results = {}
    for done, batch in enumerate(own, start=1):
        results[batch] = evaluator.score(batches[batch])
        progress(done, len(own))
    return Share(results, notes())
