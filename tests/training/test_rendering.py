"""A run that renders its own data."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("open3d", reason="rendering needs the [sim] extra")

from surround_depth.data.writers import nuscenes_tree
from surround_depth.errors import SurroundDepthError
from surround_depth.training import rendering
from surround_depth.training.config import DataConfig, DataSetConfig, RenderConfig
from surround_depth.training.drives import open_drives
from surround_depth.training.rendering_record import read_record

SMALL = RenderConfig(rig="ddad", first_seed=3, n_drives=2, n_samples=1, height_px=64, width_px=96, n_workers=1)


def fail(*_: object) -> None:
    raise SurroundDepthError("disk full")


@pytest.mark.slow
def test_a_rendered_tree_opens_and_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, seen = tmp_path / "tree", list[str]()
    with monkeypatch.context() as patch:
        patch.setattr(nuscenes_tree, "write_tables", fail)
        with pytest.raises(SurroundDepthError, match="disk full"):
            rendering.render_missing(root, SMALL, seen.append)
    assert not root.exists()
    rendering.render_missing(root, SMALL, seen.append)
    assert seen == ["scene-0003", "scene-0004"] * 2
    assert read_record(root) is not None
    drives = open_drives(DataConfig(root=str(root)))
    assert [s.name for s in (*drives.train, *drives.val)] == ["scene-0003", "scene-0004"]
    assert drives.val[0][0].truth is not None
    assert drives.val[0][0].frame.rig.camera("CAMERA_05").width_px == 96


def test_only_what_asks_for_it_and_is_missing_is_rendered(tmp_path: Path) -> None:
    here, missing = str(tmp_path), str(tmp_path / "missing")
    sets = (
        DataSetConfig(root=here, render=True),
        DataSetConfig(root=missing),
        DataSetConfig(root=missing, render=True, rendering=SMALL),
        DataSetConfig(root=missing, render=True, rendering=SMALL, val_scenes=("scene-0003",)),
    )
    assert rendering.missing_trees(DataConfig(root=here, joint=sets)) == (sets[3],)  # one tree of two sets, once
