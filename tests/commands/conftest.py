"""A small drive on disk whose every depth is known, for the commands that read drives."""

from __future__ import annotations

from pathlib import Path

import pytest
from box_tree import rendered
from box_world import BoxDrive, make_rig
from whole_trees import write_nuscenes


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nuScenes-format tree of one scene, three samples of two cameras; do not change it."""
    root = tmp_path_factory.mktemp("tree")
    write_nuscenes(root, [rendered(BoxDrive(rig=make_rig(("F", "B")), n_samples=3))])
    return root
