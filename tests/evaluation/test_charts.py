"""Charts: round ticks, nothing but numbers in the SVG, every text escaped."""

from __future__ import annotations

import math

import pytest

from surround_depth.evaluation.charts import bar_chart, line_chart, ticks


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0.0, 1.0], [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([3.0, 47.0], [0, 10, 20, 30, 40, 50]),
        ([-1.0, 1.0], [-1, -0.5, 0, 0.5, 1]),
        ([0.0], [0, 1]),
        ([], [0, 1]),
    ],
)
def test_ticks_are_round(values: list[float], expected: list[float]) -> None:
    assert ticks(values) == pytest.approx(expected)


def test_charts_survive_what_is_not_a_number() -> None:
    assert "nan" not in line_chart({"a": [(0.0, math.nan), (1.0, 2.0)], "b": []}, "x", "y", diagonal=True)
    svg = bar_chart({"<b>": math.nan, "c": 1.0}, "m")
    assert "nan" not in svg
    assert "&lt;b&gt;" in svg
    assert "none" in svg
