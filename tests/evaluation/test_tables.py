from __future__ import annotations

import pytest

from surround_depth.evaluation.tables import Table


def test_markdown_is_aligned() -> None:
    table = Table(("camera", "AbsRel"), (("CAM_FRONT", "0.1"), ("mean", "0.25")))
    assert table.markdown().splitlines() == [
        "| camera    | AbsRel |",
        "| --------- | -----: |",
        "| CAM_FRONT |    0.1 |",
        "| mean      |   0.25 |",
    ]


def test_html_escapes_and_emphasises() -> None:
    text = Table(("a", "b"), (("x", "<1>"), ("mean", "2")), emphasised=1).html()
    assert "<tr><td>x</td><td>&lt;1&gt;</td></tr><tr class='mean'>" in text


def test_ragged_row_is_refused() -> None:
    with pytest.raises(ValueError, match="has 1 cells"):
        Table(("a", "b"), (("x",),))


def test_a_bar_in_a_name_does_not_begin_a_column() -> None:
    assert Table(("method", "AbsRel"), (("a|b", "0.1"),)).markdown().splitlines()[-1] == "| a\\|b   |    0.1 |"
