"""Predictions against truth by one protocol: batches of samples in, records out.

    evaluator = Evaluator(predictor, protocol("sd"), "nuscenes")
    for batch in batches(listed_samples(sequences), evaluator.protocol):
        result = evaluator.score(batch)

A batch is what the protocol pools (one sample, or four), so it is also what processes may share out among themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from surround_depth.data.damage import require_whole
from surround_depth.data.ground_truth import GroundTruth
from surround_depth.data.network_truth import TruthKind
from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.errors import DataError
from surround_depth.evaluation.across import measure_batch, measure_pair
from surround_depth.evaluation.measures import measure_moment
from surround_depth.evaluation.moment import ListedSample, Moment
from surround_depth.evaluation.prediction import Prediction, Predictor
from surround_depth.frame import EncodedImage
from surround_depth.metrics.compare import Pairs, score_unit_batch
from surround_depth.metrics.protocols import Protocol
from surround_depth.metrics.records import Record

Batch = tuple[ListedSample, ...]

BETWEEN_DRIVES = " + "
"""Stands between the names in `Record.sequence` where a pooled batch reaches over several drives: it is of none."""


@dataclass(frozen=True)
class BatchResult:
    """What came of one batch."""

    records: list[Record] = field(default_factory=list)
    truth_sha256: str = ""
    """Of all truth of the batch, scored or out of range: the same for every method that is held against it."""
    damage: tuple[str, ...] = ()
    """Samples that could not be read, one line each, where the caller asked to go on."""


def listed_samples(sequences: Iterable[SampleSequence], stride: int = 1) -> list[ListedSample]:
    """Return every `stride`-th sample of the sequences, numbered in order."""
    places = [(sequence, position) for sequence in sequences for position in range(0, len(sequence), stride)]
    return [
        ListedSample(index, sequence, position, follows=stride == 1 and position > 0)
        for index, (sequence, position) in enumerate(places)
    ]


def batches(samples: Sequence[ListedSample], protocol: Protocol) -> list[Batch]:
    """Return the samples in groups of `protocol.batch`; an incomplete last one is dropped where the protocol does."""
    groups = [tuple(samples[i : i + protocol.batch]) for i in range(0, len(samples), protocol.batch)]
    if groups and protocol.drop_last and len(groups[-1]) < protocol.batch:
        groups.pop()
    return groups


class Evaluator:
    """Scores batches of one data set kind by one protocol.

    Args:
        dataset: "nuscenes", "ddad" or "synthetic".
        kind: what is true; published protocols mean LiDAR.
        skips_damage: a sample that cannot be read is left out and told of in `BatchResult.damage`, instead of raising.
        only_depth: leave out everything but the depth errors.
        cloud: compare clouds of points too, which takes longer than all the rest.
    """

    def __init__(
        self,
        predictor: Predictor,
        protocol: Protocol,
        dataset: str,
        *,
        kind: TruthKind = "lidar",
        skips_damage: bool = False,
        only_depth: bool = False,
        cloud: bool = True,
    ) -> None:
        self.predictor = predictor
        self.protocol = protocol
        self.truth = GroundTruth(protocol, dataset, kind)
        self._skips_damage = skips_damage
        self._only_depth, self._cloud = only_depth, cloud
        self._last: Moment | None = None  # flicker needs it once more

    def score(self, batch: Batch) -> BatchResult:
        """Return the records of one batch.

        Raises:
            DataError: a sample cannot be read, has no truth of this kind, or the prediction does not fit its cameras.
        """
        moments: list[Moment] = []
        records: list[Record] = []
        damage, digest = [], hashlib.sha256()
        for listed in batch:
            try:
                moment = self.moment(listed)
                if not self._only_depth:
                    records += [*measure_moment(moment, self.truth, cloud=self._cloud), *self._flicker(moment)]
            except DataError as error:
                if not self._skips_damage:
                    raise
                damage.append(f"{listed.sequence.name} sample {listed.position}: {error}")
                continue
            for truth in moment.truths:
                digest.update(np.ascontiguousarray(truth.uv_px).tobytes() + truth.depth_m.tobytes())
            moments.append(moment)
            self._last = moment
        if moments:
            pooled = [*self._errors(moments), *([] if self._only_depth else measure_batch(moments, self.truth))]
            drives = BETWEEN_DRIVES.join(dict.fromkeys(m.listed.sequence.name for m in moments))
            records = [*(replace(record, sequence=drives) for record in pooled), *records]
        return BatchResult(records, digest.hexdigest(), tuple(damage))

    def moment(self, listed: ListedSample) -> Moment:
        """Return one sample beside its prediction and truth."""
        sample = listed.sequence[listed.position]
        for image in sample.frame.images:
            if isinstance(image, EncodedImage):
                require_whole(image)  # decoders go on with grey where a picture was cut off
        prediction = self.predictor(sample.frame)
        _require_fit(sample, prediction)
        truths = self.truth.truths(sample, prediction.windows)
        return Moment(listed, sample, prediction, truths, self.protocol.resampling)

    def _flicker(self, moment: Moment) -> Iterator[Record]:
        """Yield what changed since the sample before, where the list has it; read again unless it was scored last."""
        listed, last = moment.listed, self._last
        if not listed.follows:
            return
        place = listed.sequence.name, listed.position - 1
        if last is None or (last.listed.sequence.name, last.listed.position) != place:
            try:
                last = self.moment(replace(listed, position=listed.position - 1))
            except DataError:
                if not self._skips_damage:
                    raise
                return  # told where that sample itself is scored
        yield from measure_pair(last, moment, self.truth)

    def _errors(self, moments: Sequence[Moment]) -> list[Record]:
        cameras = moments[0].sample.frame.rig.names
        for moment in moments:
            if moment.sample.frame.rig.names != cameras:
                raise DataError(
                    f"protocol {self.protocol.name} pools {self.protocol.batch} samples per camera, but frame "
                    f"{moment.sample.frame.frame_id} has cameras {', '.join(moment.sample.frame.rig.names)}, not "
                    f"{', '.join(cameras)}; score drives of one rig at a time (scenes, split)"
                )
        pairs = [
            [Pairs(truth.depth_m, answer_m) for truth, answer_m in zip(m.truths, m.answers_m, strict=True)]
            for m in moments
        ]
        scores = score_unit_batch(cameras, pairs, self.protocol, self.truth.rule.scored_range)
        return [moments[0].record(score.camera, score.group, score.measure()) for score in scores]


def _require_fit(sample: Sample, prediction: Prediction) -> None:
    frame = sample.frame
    if len(prediction.windows) != len(frame.rig):
        raise DataError(
            f"frame {frame.frame_id}: a prediction for {len(prediction.windows)} cameras cannot answer for "
            f"{', '.join(frame.rig.names)}"
        )
    for camera, window in zip(frame.rig.cameras, prediction.windows, strict=True):
        if (window.image_height_px, window.image_width_px) != (camera.height_px, camera.width_px):
            raise DataError(
                f"frame {frame.frame_id}, {camera.name}: a prediction over an image of "
                f"{window.image_width_px}x{window.image_height_px}, recorded are {camera.width_px}x{camera.height_px}"
            )


def truth_sha256(batch_digests: Iterable[str]) -> str:
    """Return one hash for all truth of a run, from its batches' in the order of the list."""
    return hashlib.sha256("\n".join(batch_digests).encode()).hexdigest()


def records_of(results: Iterable[BatchResult]) -> Iterator[Record]:
    """Yield the records of all batches."""
    for result in results:
        yield from result.records
