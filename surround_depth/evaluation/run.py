"""Run predictors over drives and score them at network resolution, against every kind of truth the drives have.

The quick rule of the demo, of playback and of training: what it says is what `protocol_run` says by protocol "network".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.network_truth import TruthKind, truth_depth_m, truth_kinds
from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.errors import DataError
from surround_depth.evaluation.prediction import Predictor
from surround_depth.evaluation.predictors import Planner
from surround_depth.imaging import InputSpec
from surround_depth.metrics.scoreboard import DEFAULT_RANGE, DepthScores, ScoreBoard, ScoredRange

Scores = dict[TruthKind, dict[str, DepthScores]]


def score_predictors(
    samples: Iterable[Sample],
    predictors: Mapping[str, Predictor],
    spec: InputSpec,
    scored_range: ScoredRange = DEFAULT_RANGE,
) -> Scores:
    """Return truth kind -> predictor name -> scores, by the rule of `metrics.scoreboard`.

    All predictors answer at the resolution of `spec`. Scenes may have different cameras; scores are kept by camera
    name.

    Raises:
        DataError: no sample has any truth, or a predictor answers for other cameras than the frame has.
    """
    planner = Planner(spec)
    boards: dict[TruthKind, dict[str, ScoreBoard]] = {}
    for sample in samples:
        plans = planner.plans(sample.frame.rig)
        truths = {kind: truth_depth_m(sample, plans, kind) for kind in truth_kinds(sample)}
        for name, predictor in predictors.items():
            depth_m = np.stack(predictor(sample.frame).depth_m)
            for kind, truth_m in truths.items():
                board = boards.setdefault(kind, {}).setdefault(name, ScoreBoard(scored_range))
                board.add(sample.frame.rig.names, depth_m, truth_m)
    if not boards:
        raise DataError("nothing to score: no sample has dense truth or a LiDAR sweep")
    return {kind: {name: board.scores() for name, board in named.items()} for kind, named in boards.items()}


def samples_of(sequences: Iterable[SampleSequence], *, stride: int = 1) -> Iterator[Sample]:
    """Yield every `stride`-th sample of every sequence, read one at a time."""
    for sequence in sequences:
        for index in range(0, len(sequence), stride):
            yield sequence[index]


def true_depths(samples: Iterable[Sample], spec: InputSpec) -> Iterator[NDArray[np.float32]]:
    """Yield the best true depth [N, H, W] of each sample: dense where there is any, else LiDAR."""
    planner = Planner(spec)
    for sample in samples:
        kinds = truth_kinds(sample)
        if kinds:
            yield truth_depth_m(sample, planner.plans(sample.frame.rig), kinds[0])
