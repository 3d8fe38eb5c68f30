"""One evaluation, alone or as one of several processes: the same batches for the method and for its baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from surround_depth.evaluation.prediction import Predictor
from surround_depth.evaluation.protocol_run import Batch, Evaluator
from surround_depth.evaluation.score_report import ScoreOrigin
from surround_depth.evaluation.shards import DEFAULT_TIMEOUT_S, ShardFolder, Share, Worker, fingerprint, joined

Notes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ScoreRun:
    """What is scored, by which rule, by which processes."""

    origin: ScoreOrigin
    batches: Sequence[Batch]
    worker: Worker
    out: Path
    """Folder of the results, where the processes also leave their shares."""
    skips_damage: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S

    def evaluator(self, predictor: Predictor, *, only_depth: bool = False) -> Evaluator:
        """Return what scores the answers of `predictor`; of baselines the depth errors are enough."""
        return Evaluator(
            predictor,
            self.origin.protocol,
            self.origin.dataset["kind"],
            kind=self.origin.truth_kind,
            skips_damage=self.skips_damage,
            only_depth=only_depth,
        )

    def score(
        self,
        name: str,
        evaluator: Evaluator,
        *,
        notes: Callable[[], Notes] = dict,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Share | None:
        """Return what came of all batches; None in every process but the one of rank 0, which waits for the others.

        Args:
            name: of the method; keeps the shares of several methods apart.
            notes: what else is to be told once the batches of this process are done.
            progress: called with (batches done, batches of this process) after each batch.

        Raises:
            DataError: what `Evaluator.score` raises; or another process failed or is late.
        """
        run = fingerprint(origin=self.origin.as_dict(), method=name, skips_damage=self.skips_damage)
        shards = ShardFolder(self.out, run, self.worker)
        own = self._own_share(evaluator, notes, progress)
        if self.worker.world == 1:
            return joined([own])
        shards.write(own)
        return shards.gather(len(self.batches), timeout_s=self.timeout_s) if self.worker.rank == 0 else None

    def _own_share(
        self, evaluator: Evaluator, notes: Callable[[], Notes], progress: Callable[[int, int], None]
    ) -> Share:
        own = self.worker.share(len(self.batches))
        results = {}
        for done, batch in enumerate(own, start=1):
            results[batch] = evaluator.score(self.batches[batch])
            progress(done, len(own))
        return Share(results, notes())
