"""Samples as the network wants them: prepared once from a drive, kept small enough to stay in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_accumulate import accumulated_sweep
from surround_depth.data.lidar_beams import with_beams
from surround_depth.data.lidar_labels import visible_lidar
from surround_depth.data.network_truth import TruthKind, truth_depth_m, truth_kinds, truth_sky
from surround_depth.data.sample import RecordedSequence, Sample, SampleSequence
from surround_depth.errors import ConfigError
from surround_depth.frame import SurroundFrame
from surround_depth.imaging import (
    ENGINE_FRAMING,
    Framing,
    ImagePlans,
    InputSpec,
    mirrored_cloud,
    mirrored_pose,
    plan_images,
)
from surround_depth.rig import Rig
from surround_depth.teachers.patches import label_patches
from surround_depth.teachers.teacher import Teacher, TeacherInput, TeacherLabel
from surround_depth.training.config import SweepConfig
from surround_depth.training.context import prepare_context
from surround_depth.training.label_id import label_id
from surround_depth.training.prepared import PreparedPatches, PreparedSample, mirror


@dataclass(frozen=True)
class LabelWants:
    """What the losses need of a teacher beside its depth."""

    features: bool = False
    patches: bool = False
    """Its depth of pieces of each picture, seen alone."""


DEPTH_ALONE = LabelWants()


class SamplePreparer:
    """Turns recorded samples into network samples; plans every rig once, other framings when they are drawn.

    Args:
        wants: what of the teacher's is kept beside its depth.
    """

    def __init__(self, spec: InputSpec, teacher: Teacher | None, wants: LabelWants = DEPTH_ALONE) -> None:
        self.spec = spec
        self.teacher = teacher
        self.wants = wants
        self._plans: dict[str, ImagePlans] = {}

    def prepare(
        self,
        sample: Sample,
        framing: Framing = ENGINE_FRAMING,
        around: tuple[SurroundFrame | None, ...] | None = None,
    ) -> PreparedSample:
        """Return `sample` at network resolution, framed so, with the teacher's labels of exactly these pixels.

        Args:
            around: the frames before and after, for the photometric term (None where there is none); without them the
                sample has no context.

        Raises:
            ConfigError: a context is asked for, and a lens is no pinhole or the ego poses are unknown.
        """
        if framing.mirrored:
            sample = _in_mirrored_street(sample)
            around = None if around is None else tuple(frame and _in_mirrored_motion(frame) for frame in around)
        frame = sample.frame
        plans = self._plans_of(frame.rig, framing)
        given = self._teacher_input(sample, plans, framing)
        images = given.images
        lidar = visible_lidar(sample, plans.network_rig)
        label = self._label(given)
        relative, metric_range = unit_range(label.inverse_depth, label.valid)
        return PreparedSample(
            sample_id=frame.frame_id,
            images=images,
            rays=plans.rays,
            T_ego_cam=plans.network_rig.T_ego_cam.astype(np.float32),
            camera_valid=frame.camera_valid,
            neighbours=_neighbours(plans.network_rig),
            own_body=plans.own_body,
            lidar_index=lidar.flat_index,
            lidar_depth_m=lidar.depth_m,
            relative=relative,
            teacher_valid=label.valid,
            sky=label.sky,
            metric_range=metric_range if self._metric else np.full_like(metric_range, np.nan),
            features=label.features if self.wants.features else None,
            trust=label.trust,
            patches=self._patches(given) if self.wants.patches else None,
            context=None if around is None else prepare_context(frame, images, around, plans),
        )

    def teacher_input(self, sample: Sample) -> TeacherInput:
        """Return what a teacher is given of `sample` as the engine frames it: what labels are kept of."""
        return self._teacher_input(sample, self._plans_of(sample.frame.rig), ENGINE_FRAMING)

    def truths_m(self, sample: Sample) -> dict[TruthKind, NDArray[np.float32]]:
        """Return every true depth [N, H, W] that `sample` has, the most exact first, as evaluation takes it."""
        plans = self._plans_of(sample.frame.rig)
        return {kind: truth_depth_m(sample, plans, kind) for kind in truth_kinds(sample)}

    def _plans_of(self, rig: Rig, framing: Framing = ENGINE_FRAMING) -> ImagePlans:
        if framing != ENGINE_FRAMING:
            return plan_images(rig, self.spec, framing)
        key = rig.fingerprint
        if key not in self._plans:
            self._plans[key] = plan_images(rig, self.spec)
        return self._plans[key]

    def _teacher_input(self, sample: Sample, plans: ImagePlans, framing: Framing) -> TeacherInput:
        frame, partners = sample.frame, sample.partners
        return TeacherInput(
            frame.frame_id,
            frame.rig.names,
            plans.prepare(frame.images),
            frame.camera_valid,
            focal_px=_focal_px(plans.network_rig),
            rays=plans.rays,
            T_ego_cam=plans.network_rig.T_ego_cam.astype(np.float32),
            truth_depth_m=None if sample.truth is None else truth_depth_m(sample, plans, "dense"),
            truth_sky=truth_sky(sample, plans),
            second_images=None if partners is None else plans.prepare(partners.images),
            baseline_m=None if partners is None else partners.baseline_m.astype(np.float32),
            label_id=None if self.teacher is None or framing != ENGINE_FRAMING else label_id(sample, self.spec),
        )

    def _patches(self, given: TeacherInput) -> PreparedPatches | None:
        """Return what the teacher says of pieces of the pictures; None without a teacher."""
        if self.teacher is None:
            return None
        labels = label_patches(self.teacher, given)
        stored, _ = unit_range(_flat_images(labels.inverse_depth), _flat_images(labels.valid))
        return PreparedPatches(stored.reshape(labels.valid.shape), labels.valid, labels.windows)

    @property
    def _metric(self) -> bool:
        return self.teacher is not None and self.teacher.metric

    def _label(self, given: TeacherInput) -> TeacherLabel:
        """Return the teacher's labels; where there is no teacher, no pixel is valid.

        Raises:
            ConfigError: the losses need features, and the teacher has none.
        """
        nothing = np.zeros(given.images.shape[:3], bool)
        if self.teacher is None:
            label = TeacherLabel(np.zeros(nothing.shape, np.float32), nothing, nothing)
        else:
            label = self.teacher(given)
        if self.wants.features and label.features is None:
            name = "none" if self.teacher is None else self.teacher.name
            raise ConfigError(
                f"teacher {name} brings no features, which the losses on features and relations need; choose another "
                "teacher.kind, or set their weights to 0"
            )
        return label


def _flat_images(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(-1, *array.shape[2:])


def _in_mirrored_street(sample: Sample) -> Sample:
    """Return the sample with LiDAR, motion and the places of partners mirrored.

    Its pictures stay as recorded: the plan turns those.
    """
    lidar = None if sample.lidar is None else mirrored_cloud(sample.lidar)
    partners = sample.partners
    if partners is not None:
        partners = replace(partners, baseline_m=-partners.baseline_m)
    return replace(sample, frame=_in_mirrored_motion(sample.frame), lidar=lidar, partners=partners)


def _in_mirrored_motion(frame: SurroundFrame) -> SurroundFrame:
    return replace(frame, T_world_ego=None if frame.T_world_ego is None else mirrored_pose(frame.T_world_ego))


def _focal_px(rig: Rig) -> NDArray[np.float32]:
    """Return the mean of fx and fy of each camera [N], NaN for a lens that is no pinhole."""
    pinhole = [camera.lens.model == "pinhole" for camera in rig.cameras]
    means = [0.5 * (camera.K[0, 0] + camera.K[1, 1]) for camera in rig.cameras]
    return np.where(pinhole, means, np.nan).astype(np.float32)


def _neighbours(rig: Rig) -> NDArray[np.int64]:
    """Return, for each camera, the ring neighbours whose view overlaps with its own."""
    pairs = rig.adjacent_pairs()
    neighbours = np.full((len(rig), 2), -1, np.int64)
    for i in range(len(rig)):
        beside = sorted({b if a == i else a for a, b in pairs if i in (a, b)})
        neighbours[i, : len(beside)] = beside
    return neighbours


def unit_range(
    relative: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Return r moved to 0 (farthest valid pixel) .. 1 (nearest) per image [N, H, W], in float16; 0 where not valid.

    With the far end at 0 float16 keeps the far depths apart. Beside it, per image, the value that 0 stands for and the
    span to 1 [N, 2]: of a relative teacher they mean nothing, of a metric one they give back its inverse depth.
    """
    stored, ranges = np.zeros(relative.shape, np.float16), np.zeros((len(relative), 2), np.float32)
    for i in range(len(relative)):
        seen = relative[i][valid[i]]
        if seen.size:
            low, high = seen.min(), seen.max()
            span = max(float(high - low), 1e-12)
            stored[i][valid[i]] = (seen - low) / span
            ranges[i] = low, span
    return stored, ranges


class SampleStore:
    """All samples of some sequences, prepared when first asked for and, with `cache`, kept.

    A sequence that is listed several times has its samples several times, which are prepared and kept once.

    Args:
        cache: prepared samples stay in memory; of a sample that is framed otherwise, its recording does (encoded
            pictures, LiDAR, dense truth), so that another framing costs no reading.
        sweeps: LiDAR sweeps around each sample that are laid over its own for its labels; `truths_m` keeps its own.
        n_beams: of the sample's own sweep, the points of so many beams alone are labels; None takes all.
        context_gap_s: where given, samples carry the pictures of the moments before and after them in their sequence,
            unless those are further away (`PhotometricConfig.context_gap_s`).

    Raises:
        ConfigError: sweeps are asked for, and a sequence has none. When a sample is read: see `prepare_context`.
    """

    def __init__(
        self,
        sequences: Sequence[SampleSequence],
        preparer: SamplePreparer,
        *,
        cache: bool,
        sweeps: SweepConfig = SweepConfig(),  # noqa: B008  # frozen
        n_beams: int | None = None,
        context_gap_s: float | None = None,
    ) -> None:
        lacking = [sequence.name for sequence in sequences if not isinstance(sequence, RecordedSequence)]
        if sweeps != SweepConfig() and lacking:
            raise ConfigError(f"data.lidar_sweeps: drive {lacking[0]} has no sweeps around its samples; give 0 and 0")
        self._sweeps, self._n_beams = sweeps, n_beams
        self._context_gap_s = context_gap_s
        self._places = [(sequence, i) for sequence in sequences for i in range(len(sequence))]
        self._first = _first_indices(self._places)
        self.preparer = preparer
        self._get: Callable[[int], PreparedSample] = lru_cache(maxsize=None)(self._prepare) if cache else self._prepare
        self._keep: Callable[[int], Sample] = lru_cache(maxsize=None)(self._labelled) if cache else self._labelled

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> PreparedSample:
        return self._get(self._first[index])

    def name_of(self, index: int) -> str:
        """Return the drive of a sample and its place in it, counted from 0, for messages."""
        sequence, i = self._places[index]
        return f"sample {i} of {sequence.name}"

    def framed(self, index: int, framing: Framing) -> PreparedSample:
        """Return a sample framed so: from what is kept where the crop is the engine's, else from the recording."""
        if replace(framing, mirrored=False) != ENGINE_FRAMING:
            index = self._first[index]
            sample = self._keep(index)
            return self.preparer.prepare(sample, framing, self._around(index, sample, self._keep))
        return mirror(self[index]) if framing.mirrored else self[index]

    def truths_m(self, index: int) -> dict[TruthKind, NDArray[np.float32]]:
        """Return every true depth of a sample, read anew; see `SamplePreparer.truths_m`."""
        return self.preparer.truths_m(self._recorded(index))

    def evenly(self, n: int) -> list[int]:
        """Return at most `n` indices spread evenly over the store."""
        return np.unique(np.linspace(0, len(self) - 1, min(n, len(self))).round().astype(int)).tolist()

    def _prepare(self, index: int) -> PreparedSample:
        sample = self._labelled(index)
        return self.preparer.prepare(sample, around=self._around(index, sample, self._recorded))

    def _around(
        self, index: int, sample: Sample, read: Callable[[int], Sample]
    ) -> tuple[SurroundFrame | None, ...] | None:
        """Return the frames before and after, None where there is none near; None where no context is asked for."""
        if self._context_gap_s is None:
            return None
        sequence, place = self._places[index]
        found: list[SurroundFrame | None] = []
        for step in (-1, 1):
            frame = read(index + step).frame if 0 <= place + step < len(sequence) else None
            gap_ns = 0 if frame is None else abs(frame.reference_stamp_ns - sample.frame.reference_stamp_ns)
            found.append(frame if gap_ns <= 1e9 * self._context_gap_s else None)
        return tuple(found)

    def _labelled(self, index: int) -> Sample:
        """Return a sample with what its labels come from as its LiDAR: sweeps laid over its own, or beams of it."""
        sample = self._recorded(index)
        if self._n_beams is not None and sample.lidar is not None:
            return replace(sample, lidar=with_beams(sample.lidar, self._n_beams))
        sequence, i = self._places[index]
        if self._sweeps == SweepConfig() or sample.lidar is None or not isinstance(sequence, RecordedSequence):
            return sample
        return replace(sample, lidar=accumulated_sweep(sequence, i, self._sweeps.before, self._sweeps.after))

    def _recorded(self, index: int) -> Sample:
        sequence, i = self._places[index]
        return sequence[i]


def _first_indices(places: Sequence[tuple[SampleSequence, int]]) -> list[int]:
    """Return, for each place, the first index at which the same object lists the same moment."""
    first: dict[tuple[int, int], int] = {}
    return [first.setdefault((id(sequence), i), index) for index, (sequence, i) in enumerate(places)]
