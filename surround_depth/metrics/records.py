"""What an evaluation measures, one flat record at a time, so that shards, tables and intervals all read one list.

A record says: in this sequence, at this moment (or these moments), on this camera (or the whole rig), this group of
numbers came out, over so many pixels. Means over records are taken in `protocol_means`, differences in `bootstrap`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from surround_depth.errors import DataError

RIG = ""
"""`Record.camera` of what is measured on all cameras together."""


@dataclass(frozen=True)
class Record:
    """The values of one group on one unit: an image, four images of a camera, a moment, or a pair of moments."""

    sequence: str  # scene name: the unit that intervals are drawn over
    frame_id: str  # first moment of the unit
    index: int  # place of the unit in the sample list: the order of means over batches
    camera: str  # camera name, or RIG
    group: str  # "metric", "median", "shared", "band 0-10 m", "overlap", "consistency", "edges", "cloud" ...
    values: Mapping[str, float]  # name -> value; NaN where the unit is empty
    n_pixels: int  # what the values were taken over (pixels, points or pairs); 0 where empty

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        values = {name: None if math.isnan(value) else value for name, value in self.values.items()}
        return {
            "sequence": self.sequence,
            "frame_id": self.frame_id,
            "index": self.index,
            "camera": self.camera,
            "group": self.group,
            "values": values,
            "n_pixels": self.n_pixels,
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Return the record that `as_dict` wrote.

        Raises:
            DataError: a key is missing or of the wrong type.
        """
        try:
            values = {str(name): math.nan if v is None else float(v) for name, v in tree["values"].items()}
            return cls(
                str(tree["sequence"]),
                str(tree["frame_id"]),
                int(tree["index"]),
                str(tree["camera"]),
                str(tree["group"]),
                values,
                int(tree["n_pixels"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not a score record ({error}): {str(tree)[:80]}; evaluate again") from error
