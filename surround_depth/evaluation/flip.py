"""Flip averaging at test time, as published: every frame is asked twice, once mirrored, and the answers are blended.

Real-time systems do not do this; a protocol with flip doubles the cost of inference.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from surround_depth.evaluation.prediction import Prediction, Predictor
from surround_depth.frame import SurroundFrame
from surround_depth.imaging import mirrored_frame
from surround_depth.metrics.protocols import Flip
from surround_depth.window import ImageWindow

Grid = NDArray[np.float32]


class FlipAveraged:
    """A predictor that blends the answers of another one for a frame and for its mirror image.

    The mirrored frame has the mirrored rig, poses included, so a network that knows its calibration sees a consistent
    vehicle. SurroundDepth mirrors the pictures inside a fixed camera order, which comes to the same.

    Args:
        blend: what is averaged, disparity (SurroundDepth, vidar) or depth (CVCDepth).
    """

    def __init__(self, predictor: Predictor, blend: Literal["disparity", "depth"]) -> None:
        self._predictor = predictor
        self._blend = blend

    def __call__(self, frame: SurroundFrame) -> Prediction:
        straight, flipped = self._predictor(frame), self._predictor(mirrored_frame(frame))
        windows = straight.windows
        back = [_turned_back(g, own, w) for g, own, w in zip(flipped.depth_m, flipped.windows, windows, strict=True)]
        depth_m = tuple(self._blended(a, b) for a, b in zip(straight.depth_m, back, strict=True))
        return Prediction(depth_m, windows, straight.confidence)

    def _blended(self, straight_m: Grid, flipped_m: Grid) -> Grid:
        if self._blend == "depth":
            return flip_blend(straight_m, flipped_m)
        with np.errstate(divide="ignore"):
            return np.float32(1.0) / flip_blend(np.float32(1.0) / straight_m, np.float32(1.0) / flipped_m)


def flip_blend(straight: Grid, flipped: Grid) -> Grid:
    """Return the blend [h, w] of an answer and of the mirrored frame's answer, already turned back.

    The mean, but at the left border the flipped answer alone and at the right border the straight one, with ramps over
    5 % of the width. Where only one answer exists it is taken.

    Source: `batch_post_process_disparity` of Monodepth2 and its heirs (protocols.md 3.1).
    """
    x = np.linspace(0.0, 1.0, straight.shape[1])
    left = 1.0 - np.clip(20.0 * (x - 0.05), 0.0, 1.0)
    right = left[::-1]
    blended = right * straight + left * flipped + (1.0 - left - right) * 0.5 * (straight + flipped)
    one = np.where(np.isnan(straight), flipped, straight)
    return np.where(np.isnan(blended), one, blended).astype(np.float32)


def _turned_back(grid: Grid, window: ImageWindow, onto: ImageWindow) -> Grid:
    """Return a mirrored frame's grid [h, w] flipped back, on the columns of the straight window."""
    # An odd excess is cut unevenly: the mirrored crop then begins one column beside the straight one.
    shift = onto.left_px - window.mirrored().left_px
    columns = np.arange(grid.shape[1]) + shift
    return grid[:, ::-1][:, columns.clip(0, grid.shape[1] - 1)]


def as_protocol_asks(predictor: Predictor, flip: Flip) -> Predictor:
    """Return the predictor with the flip that a protocol asks for."""
    return predictor if flip == "off" else FlipAveraged(predictor, flip)
