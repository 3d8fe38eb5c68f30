"""On which grid a method answers: protocols that score at network size compare only methods of one grid."""

from __future__ import annotations

from collections.abc import Sequence

from surround_depth.errors import DataError
from surround_depth.evaluation.moment import ListedSample
from surround_depth.evaluation.prediction import Predictor
from surround_depth.window import ImageWindow

_TRIED = 10  # the first samples may be damaged


def describe_grid(predictor: Predictor, samples: Sequence[ListedSample]) -> str:
    """Return the windows that a method answers on, e.g. "192x352 of 198x352 from (6, 0)"; empty where none can be read.

    The first readable sample speaks for all; cameras of several windows are listed.
    """
    for listed in samples[:_TRIED]:
        try:
            windows = predictor(listed.sequence[listed.position].frame).windows
        except DataError:
            continue
        return "; ".join(dict.fromkeys(map(_text, windows)))
    return ""


def _text(window: ImageWindow) -> str:
    grid = f"{window.grid_height_px}x{window.grid_width_px}"
    resized = f"{window.resized_height_px}x{window.resized_width_px}"
    return grid if grid == resized else f"{grid} of {resized} from ({window.top_px}, {window.left_px})"
