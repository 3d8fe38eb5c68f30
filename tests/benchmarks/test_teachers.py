"""The teachers' published sizes."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from surround_depth.benchmarks.teachers import teacher_model, teacher_size
from surround_depth.imaging import InputSpec


@pytest.mark.parametrize(("shape", "millions"), [("S", 24.8), ("B", 97.5)])
def test_a_teacher_has_its_published_size(shape: Literal["S", "B"], millions: float) -> None:
    with torch.device("meta"):
        model = teacher_model(shape)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_teacher_and_student_see_as_many_pixels() -> None:
    assert teacher_size(InputSpec(height_px=256, width_px=448)) == (252, 448)
