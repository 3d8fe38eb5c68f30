"""The note in a rendered tree, and the run that refuses a tree of another rendering."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from surround_depth.errors import ConfigError, DataError
from surround_depth.rig import load_rig, save_rig
from surround_depth.training.config import DataConfig, DataSetConfig, RenderConfig
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


def test_a_tree_of_another_rig_is_refused_and_an_old_note_means_nuscenes(tmp_path: Path) -> None:
    nuscenes, ddad = RenderConfig(), RenderConfig(rig="ddad")
    write_record(tmp_path, ddad)
    require_same_rendering(DataConfig(root=str(tmp_path), render=True, rendering=ddad))
    joint = DataSetConfig(root=str(tmp_path), render=True, rendering=nuscenes)
    with pytest.raises(
        ConfigError, match=r"data\.joint\.0\.rendering asks: rig ddad \w{12} instead of nuscenes \w{12}"
    ):
        require_same_rendering(DataConfig(root="elsewhere", joint=(joint,)))
    old = {key: value for key, value in nuscenes.model_dump().items() if key not in ("rig", "n_workers")}
    (tmp_path / RECORD_NAME).write_text(json.dumps({"rendering": old, "commit": "0"}))
    require_same_rendering(DataConfig(root=str(tmp_path), render=True, rendering=nuscenes))
    with pytest.raises(ConfigError, match=r"rig nuscenes \w{12} instead of ddad"):
        require_same_rendering(DataConfig(root=str(tmp_path), render=True, rendering=ddad))


def test_a_rig_file_is_known_by_what_it_holds(tmp_path: Path, checkout: Path) -> None:
    moved, changed = tmp_path / "moved.yaml", tmp_path / "changed.yaml"
    rig = load_rig("nuscenes")
    shutil.copy(checkout / "calib" / "rigs" / "nuscenes.yaml", moved)
    save_rig(rig.select(rig.names[:5]), changed)
    write_record(tmp_path, RenderConfig(rig="nuscenes"))
    require_same_rendering(DataConfig(root=str(tmp_path), render=True, rendering=RenderConfig(rig=str(moved))))
    with pytest.raises(ConfigError, match="rig nuscenes"):
        require_same_rendering(DataConfig(root=str(tmp_path), render=True, rendering=RenderConfig(rig=str(changed))))


def test_a_tree_without_a_note_is_unknown_and_a_damaged_note_is_said(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    require_same_rendering(DataConfig(root=str(tmp_path), render=True))
    (tmp_path / RECORD_NAME).write_text("{")
    with pytest.raises(DataError, match="render the tree again"):
        read_record(tmp_path)
