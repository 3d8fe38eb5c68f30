"""Where indexes are kept, who shares them, how long they stay, and how they reach a worker."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from surround_depth.data import nuscenes_cache, nuscenes_index
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.files import CACHE_VARIABLE, cache_folder

VERSION = "v1.0-mini"


@pytest.fixture
def tree(tables) -> Path:
    return tables


def rename_scene(tree: Path, name: str) -> None:
    path = tree / VERSION / "scene.json"
    path.write_text(path.read_text().replace("scene-0001", name))


@pytest.mark.usefixtures("later")
def test_two_formats_do_not_evict_each_other(tree, cache, monkeypatch, builds):
    for number in (1, 2) * 3:
        monkeypatch.setattr(nuscenes_index, "FORMAT", number)
        monkeypatch.setattr(nuscenes_cache, "FORMAT", number)
        NuScenesDataset(tree)
    assert len(builds) == 2


def test_a_change_of_one_root_leaves_the_index_of_another(tree, cache, builds, tmp_path):
    other = shutil.copytree(tree, tmp_path / "other")
    NuScenesDataset(tree)
    NuScenesDataset(other)
    rename_scene(other, "scene-0002")
    NuScenesDataset(other)
    NuScenesDataset(tree)
    assert len(builds) == 2


def test_what_nobody_opened_for_a_month_goes_with_the_next_index(tree, cache):
    NuScenesDataset(tree)
    (used,) = cache.glob("*.index")
    names = ("young.index", "old.index", ".a.tmp", ".b.tmp", "old.json")
    for name in names:
        (cache / name).write_text("{}")
    long_ago = time.time() - 31 * 24 * 3600
    for name in ("old.index", ".a.tmp", "old.json", used.name):
        os.utime(cache / name, (long_ago, long_ago))
    rename_scene(tree, "scene-0002")
    NuScenesDataset(tree)
    left = {path.name for path in cache.iterdir()}
    assert left & set(names) == {"young.index", ".b.tmp"}
    assert used.name in left  # until here a record named it


@pytest.mark.parametrize("place", ["/proc/nowhere", "file/cache"])
def test_nowhere_to_write(tree, tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / place))
    assert len(NuScenesDataset(tree).sequence("scene-0001")[0].lidar) == 420


def test_a_user_without_a_home(tree, monkeypatch):
    def no_home():
        raise RuntimeError("no home")

    monkeypatch.setattr(nuscenes_cache, "cache_folder", no_home)
    assert NuScenesDataset(tree).scenes() == ("scene-0001",)


def test_processes_that_build_at_once(tree, cache):
    """All find nothing, all build; each reads a whole index, and one is left."""
    probe = (
        "import sys; from surround_depth.data.nuscenes import NuScenesDataset; "
        "print([NuScenesDataset(sys.argv[1]).sequence('scene-0001')[1].frame.frame_id for _ in range(20)][-1])"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", probe, str(tree)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    results = [process.communicate(timeout=120) for process in running]
    assert all(not error for _, error in results)
    assert len({out for out, _ in results}) == 1
    assert sorted(path.suffix for path in cache.iterdir()) == [".index", ".json"]


def test_a_sequence_travels_to_a_worker_as_a_file_name(tree, cache):
    """A data loader pickles what it hands to its workers: not hundreds of megabytes of tables."""
    sequence = NuScenesDataset(tree).sequence("scene-0001")
    sent = pickle.dumps(sequence.readings.index)
    assert len(sent) < 1000
    there = pickle.loads(pickle.dumps(sequence))
    np.testing.assert_array_equal(there[1].frame.T_world_ego, sequence[1].frame.T_world_ego)


def test_a_sequence_travels_without_a_cache(tree, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, "/dev/null/none")
    sequence = NuScenesDataset(tree).sequence("scene-0001")
    there = pickle.loads(pickle.dumps(sequence))
    np.testing.assert_array_equal(there[1].frame.T_world_ego, sequence[1].frame.T_world_ego)


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_folder() == tmp_path / "xdg" / "surround_depth"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / "home" / ".cache" / "surround_depth"
