"""Pictures of a scored moment: what is drawn where, on a world whose depth is known."""

from __future__ import annotations

import numpy as np
import pytest
from box_world import BoxDrive, make_rig

from surround_depth.evaluation.frame_pictures import draw_moment
from surround_depth.evaluation.moment import ListedSample, Moment
from surround_depth.evaluation.prediction import Prediction
from surround_depth.evaluation.protocol_run import Evaluator
from surround_depth.frame import SurroundFrame
from surround_depth.metrics.protocols import protocol
from surround_depth.viz.colors import DepthScale
from surround_depth.window import ImageWindow

CELL = 96  # half of the recorded 128 x 192
ROW, COLUMN = 64 + 4, 96 + 4


def moment(factor: float, rule: str = "strict", dead: tuple[str, ...] = ()) -> Moment:
    """Return a moment whose answer is `factor` times the exact depth, cut to the right half of each image."""
    drive = BoxDrive(rig=make_rig(("F", "B")), n_samples=1, dead=dead)
    truth = drive[0].truth
    assert truth is not None
    right = ImageWindow(128, 192, 128, 192, 0, 96, 128, 96)

    def predict(frame: SurroundFrame) -> Prediction:
        depth_m = tuple(np.nan_to_num(d[:, 96:] * np.float32(factor), nan=80.0) for d in truth.depth_m)
        return Prediction(depth_m, (right, right))

    return Evaluator(predict, protocol(rule), "synthetic", kind="dense").moment(ListedSample(0, drive, 0))


def cell(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return one cell without its label."""
    return picture[row * ROW + 24 : row * ROW + 64, column * COLUMN : column * COLUMN + CELL]


def is_colored(pixels: np.ndarray) -> np.ndarray:
    """True where a pixel is not one of the greys of the stripes."""
    return np.asarray(np.ptp(pixels.astype(int), axis=-1) > 6)


def test_the_answer_lies_where_its_window_does() -> None:
    picture = draw_moment(moment(1.0), {}, cell_width_px=CELL)
    assert picture.shape == (4 * ROW - 4, 2 * COLUMN - 4, 3)
    answer = is_colored(cell(picture, 1, 0))
    assert not answer[:, :47].any()
    assert answer[:, 48:].all()


def test_depth_has_the_colour_of_its_distance() -> None:
    shot = moment(1.0)
    picture = draw_moment(shot, {}, cell_width_px=CELL)
    truth = shot.sample.truth
    assert truth is not None
    # the lowest row of the front camera: the road, row 126 or 127 of the recorded image
    expected = DepthScale().colors(truth.depth_m[0][126:128, 120])
    drawn = cell(picture, 2, 0)[-1, 60].astype(int)
    assert min(np.abs(drawn - color).max() for color in expected.astype(int)) <= 4


@pytest.mark.parametrize("factor, channel", [(1.4, 0), (0.6, 2)])
def test_too_far_is_red_and_too_near_is_blue(factor: float, channel: int) -> None:
    error = cell(draw_moment(moment(factor), {}, cell_width_px=CELL), 3, 0)
    road = error[-8:, 50:].reshape(-1, 3)
    assert (road.argmax(axis=-1) == channel).all()


def test_an_exact_answer_is_white() -> None:
    error = cell(draw_moment(moment(1.0), {}, cell_width_px=CELL), 3, 0)
    assert (error[-8:, 50:] > 245).all()


def test_dead_cameras_are_left_out() -> None:
    assert draw_moment(moment(1.0, dead=("B",)), {}, cell_width_px=CELL).shape[1] == CELL
