"""What every measure hands back: a few named numbers and how much they were taken over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from surround_depth.metrics.depth import DepthErrors


class Measure(NamedTuple):
    """The values of one group on one unit: what a `Record` holds beside its address."""

    values: Mapping[str, float]  # name -> value; NaN where the unit is empty
    n_pixels: int  # pixels, points or pairs behind them; 0 where empty

    @classmethod
    def empty(cls, names: Iterable[str]) -> Self:
        """Return the measure of nothing: every value NaN."""
        return cls(dict.fromkeys(names, math.nan), 0)

    @classmethod
    def of_errors(cls, errors: DepthErrors) -> Self:
        """Return depth errors as a measure."""
        values = errors.as_dict()
        n_pixels = int(values.pop("n_pixels"))
        return cls(values, n_pixels)
