"""What is damaged is refused, or left out and told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from surround_depth.data.damage import LeftOut, require_whole
from surround_depth.errors import ConfigError, DataError
from surround_depth.frame import EncodedImage


def test_left_out_and_told():
    left_out = LeftOut("skip")
    for number in range(3):
        with left_out.where_damaged():
            if number != 1:
                raise DataError(f"row {number} is broken")
    assert left_out.lines == ["row 0 is broken", "row 2 is broken"]
    with pytest.raises(ZeroDivisionError), left_out.where_damaged():
        1 / 0  # noqa: B018


def test_refused():
    with pytest.raises(DataError, match="row 0 is broken"), LeftOut("raise").where_damaged():
        raise DataError("row 0 is broken")
    with pytest.raises(ConfigError, match="'ignore' is not one of raise, skip"):
        LeftOut("ignore")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_end_of_an_image(suffix):
    data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))[1].tobytes()
    require_whole(EncodedImage(data, "a"))
    require_whole(EncodedImage(data + b"\0" * 100, "a"))
    with pytest.raises(DataError, match="a is cut short after"):
        require_whole(EncodedImage(data[:-1], "a"))
    with pytest.raises(DataError, match="a is neither JPEG nor PNG"):
        require_whole(EncodedImage(b"GIF89a", "a"))
    with pytest.raises(DataError, match="neither JPEG nor PNG"):
        require_whole(EncodedImage(b"", "a"))
