"""The note in a rendered tree, and the run that refuses a tree of another rendering."""

from __future__ import annotations

from pathlib import Path

import pytest

from surround_depth.errors import ConfigError, DataError
from surround_depth.training.config import DataConfig, RenderConfig
from surround_depth.training.rendering_record import RECORD_NAME, read_record, require_same_rendering, write_record


def test_a_tree_of_another_rendering_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path, RenderConfig(n_drives=3, n_workers=1))
    record = read_record(tmp_path)
    assert record is not None
    assert record["commit"]
    require_same_rendering(DataConfig(root=str(tmp_path), render=True, rendering=RenderConfig(n_drives=3, n_workers=7)))
    require_same_rendering(DataConfig(root=str(tmp_path), render=False, rendering=RenderConfig(n_drives=4)))
    with pytest.raises(ConfigError, match=r"n_drives 3 instead of 4.*another data\.root"):
        require_same_rendering(DataConfig(root=str(tmp_path), render=True, rendering=RenderConfig(n_drives=4)))


def test_a_tree_without_a_note_is_unknown_and_a_damaged_note_is_said(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    require_same_rendering(DataConfig(root=str(tmp_path), render=True))
    (tmp_path / RECORD_NAME).write_text("{")
    with pytest.raises(DataError, match="render the tree again"):
        read_record(tmp_path)
