"""The evaluation of `make demo`: three predictors scored on the held-out drive, and pictures of one moment of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from surround_depth.data.network_truth import truth_depth_m, truth_sky
from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.evaluation.baseline import per_pixel_mean_m, per_pixel_median_m
from surround_depth.evaluation.demo_page import Picture
from surround_depth.evaluation.demo_report import MEAN, MEDIAN, START, STUDENT
from surround_depth.evaluation.pictures import draw_comparison
from surround_depth.evaluation.prediction import Predictor
from surround_depth.evaluation.predictors import EnginePredictor, constant_predictor
from surround_depth.evaluation.run import Scores, samples_of, score_predictors, true_depths
from surround_depth.frame import PointCloud
from surround_depth.fusion import fuse
from surround_depth.imaging import plan_images
from surround_depth.inference.backend import Backend
from surround_depth.viz.drawing import write_picture

_ROWS = "From top to bottom: image, depth of the starting weights, depth of the student, exact depth, error."


def score_held_out(
    student: Backend, start: Backend, held_out: SampleSequence, training: Sequence[SampleSequence]
) -> Scores:
    """Return the scores of the student, its starting weights, and the per-pixel mean and median of the training drives.

    Raises:
        DataError: the drives have no truth.
    """
    spec = student.spec.input
    predictors: dict[str, Predictor] = {
        STUDENT: EnginePredictor(student),
        START: EnginePredictor(start),
        MEAN: constant_predictor(per_pixel_mean_m(true_depths(samples_of(training), spec)), spec),
        MEDIAN: constant_predictor(per_pixel_median_m(true_depths(samples_of(training), spec)), spec),
    }
    return score_predictors(samples_of([held_out]), predictors, spec)


def picture_moment(
    student: Backend, start: Backend, sample: Sample, folder: Path
) -> tuple[tuple[Picture, ...], PointCloud]:
    """Write the comparison pictures of one moment to `folder`; return them as the page names them, and the cloud."""
    folder.mkdir(parents=True, exist_ok=True)
    depth = EnginePredictor(student).infer(sample.frame)
    untrained = EnginePredictor(start).infer(sample.frame)
    plans = plan_images(sample.frame.rig, student.spec.input)
    truth_m, sky = truth_depth_m(sample, plans, "dense"), truth_sky(sample, plans)
    ring = depth.rig.ring_order()
    pictures = []
    for side, cameras in (("front", ring[: len(ring) // 2]), ("rear", ring[len(ring) // 2 :][::-1])):
        path = folder / f"{side}.jpg"
        others = {"starting weights": untrained}
        write_picture(path, draw_comparison(depth, truth_m, cameras, truth_sky=sky, others=others))
        caption = f"The {side} cameras at one moment of the held-out drive. {_ROWS}"
        pictures.append(Picture(f"{folder.name}/{path.name}", caption))
    return tuple(pictures), fuse(depth, voxel_m=0.12)


def middle_sample(sequence: SampleSequence) -> Sample:
    """Return the sample half-way through a drive."""
    return sequence[len(sequence) // 2]
