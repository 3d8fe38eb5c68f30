"""The cached index: used while the tables stay the same, made again when they or it change, never trusted blindly."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from whole_trees import write_nuscenes

from surround_depth.data import array_file, nuscenes_cache, nuscenes_index
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.nuscenes_index import ARRAYS, NuScenesIndex
from surround_depth.data.nuscenes_parse import build_index
from surround_depth.data.nuscenes_tables import remember, table_files
from surround_depth.files import CACHE_VARIABLE, cache_folder

VERSION = "v1.0-mini"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("cached")
    write_nuscenes(root, [make_drive("scene-0001", n_samples=2)], VERSION)
    return root


@pytest.fixture
def tree(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "tree"))


@pytest.fixture
def later(monkeypatch) -> None:
    """A minute goes by between every change of a file and the next look: very young files are not trusted."""
    now_ns = time.time_ns
    monkeypatch.setattr(nuscenes_cache.time, "time_ns", lambda: now_ns() + 60 * 10**9)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "nuscenes"


@pytest.fixture
def builds(monkeypatch) -> list:
    """Counts how often tables are parsed."""
    calls = []
    monkeypatch.setattr(nuscenes_cache, "build_index", lambda files: calls.append(1) or build_index(files))
    return calls


@pytest.fixture
def hashes(monkeypatch) -> list:
    """Counts how often tables are hashed."""
    calls, real = [], nuscenes_cache._key_of
    monkeypatch.setattr(nuscenes_cache, "_key_of", lambda files: calls.append(1) or real(files))
    return calls


def rename_scene(tree: Path, name: str) -> None:
    path = tree / VERSION / "scene.json"
    path.write_text(path.read_text().replace("scene-0001", name))


@pytest.mark.usefixtures("later")
def test_parsed_once_and_not_even_hashed_again(tree, cache, builds, hashes):
    frames = [NuScenesDataset(tree).sequence("scene-0001")[1].frame for _ in range(3)]
    assert (len(builds), len(hashes)) == (1, 1)
    np.testing.assert_array_equal(frames[0].T_world_ego, frames[2].T_world_ego)
    assert sorted(path.suffix for path in cache.iterdir()) == [".index", ".json"]


def test_the_cache_holds_what_was_parsed(tree, cache):
    NuScenesDataset(tree)
    (path,) = cache.glob("*.index")
    kept, parsed = NuScenesIndex.load(path), build_index(table_files(tree, VERSION))
    for name in ARRAYS:
        assert getattr(kept, name).tobytes() == getattr(parsed, name).tobytes()
        assert not getattr(kept, name).flags.writeable
    assert (kept.scenes, kept.channels, kept.categories) == (parsed.scenes, parsed.channels, parsed.categories)


def test_changed_tables_are_parsed_again(tree, cache, builds):
    NuScenesDataset(tree)
    rename_scene(tree, "scene-0002")  # as many bytes
    assert NuScenesDataset(tree).scenes() == ("scene-0002",)
    assert len(builds) == 2
    assert len(list(cache.glob("*.index"))) == 2  # another root may have the old tables


def test_same_size_and_time_within_a_tick(tree, cache):
    """Tables written just now may be written again without a new time: they are hashed each time."""
    stamp = (tree / VERSION / "scene.json").stat()
    assert NuScenesDataset(tree).scenes() == ("scene-0001",)
    rename_scene(tree, "scene-0002")
    os.utime(tree / VERSION / "scene.json", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert NuScenesDataset(tree).scenes() == ("scene-0002",)


@pytest.mark.usefixtures("later")
def test_a_copy_that_keeps_size_and_time(tree, cache):
    """As rsync, cp -p and image layers write: the new file is renamed over the old, with the old time."""
    NuScenesDataset(tree)
    path = tree / VERSION / "scene.json"
    stamp = path.stat()
    other = path.with_suffix(".new")
    other.write_text(path.read_text().replace("scene-0001", "scene-0002"))
    os.utime(other, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    other.replace(path)
    assert NuScenesDataset(tree).scenes() == ("scene-0002",)


def test_a_long_build_does_not_make_young_tables_old(tree, cache, monkeypatch, hashes):
    """What counts is the time before the hash: a change during the build may leave size and time as they were."""
    clock_ns = time.time_ns()
    monkeypatch.setattr(nuscenes_cache.time, "time_ns", lambda: clock_ns)

    def slow_build(files):
        monkeypatch.setattr(nuscenes_cache.time, "time_ns", lambda: clock_ns + 60 * 10**9)
        return build_index(files)

    monkeypatch.setattr(nuscenes_cache, "build_index", slow_build)
    for _ in range(2):
        NuScenesDataset(tree)
    assert len(hashes) == 2


@pytest.mark.usefixtures("later")
def test_touched_or_copied_tables_are_hashed_not_parsed(tree, cache, builds, hashes, tmp_path):
    NuScenesDataset(tree)
    for path in (tree / VERSION).glob("*.json"):
        path.touch()
    for _ in range(2):
        NuScenesDataset(tree)
    NuScenesDataset(shutil.copytree(tree, tmp_path / "copy"))
    assert (len(builds), len(hashes)) == (1, 3)


def test_a_removed_optional_table_counts(tree, cache, builds):
    assert len(NuScenesDataset(tree).sequence("scene-0001").boxes(0)) == 1
    (tree / VERSION / "sample_annotation.json").unlink()
    assert NuScenesDataset(tree).sequence("scene-0001").boxes(0) == ()
    assert len(builds) == 2


@pytest.mark.parametrize("suffix", [".index", ".json"])
def test_damaged_cache_files_are_made_again(tree, cache, suffix):
    expected = NuScenesDataset(tree).sequence("scene-0001")[1].frame.T_world_ego
    (path,) = cache.glob(f"*{suffix}")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    damaged = [b"", whole[:-1], whole + b"\0", b"{}", b"[1]", b"\xff" * 40, whole[: len(whole) // 2]]
    for place in rng.integers(0, len(whole), 20):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        np.testing.assert_array_equal(NuScenesDataset(tree).sequence("scene-0001")[1].frame.T_world_ego, expected)
    path.unlink()
    NuScenesDataset(tree)
    assert list(cache.glob(f"*{suffix}")) == [path]


@pytest.mark.usefixtures("later")
def test_checksums_are_compared_once(tree, cache, monkeypatch, builds):
    checks, real = [], array_file._check
    monkeypatch.setattr(array_file, "_check", lambda *args: checks.append(1) or real(*args))
    expected = NuScenesDataset(tree).sequence("scene-0001")[1].frame.T_world_ego
    n = len(checks)
    assert n == len(ARRAYS)
    np.testing.assert_array_equal(NuScenesDataset(tree).sequence("scene-0001")[1].frame.T_world_ego, expected)
    assert len(checks) == n
    (path,) = cache.glob("*.index")
    content = bytearray(path.read_bytes())
    content[-len(content) // 3] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(NuScenesDataset(tree).sequence("scene-0001")[1].frame.T_world_ego, expected)
    assert len(checks) > n
    assert len(builds) == 2


@pytest.mark.parametrize("change", [lambda h: h.pop("scenes"), lambda h: h.update(scenes=7), lambda h: h.clear()])
def test_a_header_of_another_content(tree, cache, change):
    """As another version of this package may write it, whole and with the right checksums."""
    NuScenesDataset(tree)
    (path,) = cache.glob("*.index")
    header, arrays = array_file.read_arrays(path, ARRAYS)
    change(header)
    array_file.write_arrays(path, header, {name: np.array(array) for name, array in arrays.items()})
    assert NuScenesDataset(tree).scenes() == ("scene-0001",)


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


def test_a_record_cannot_name_a_file_elsewhere(tree, cache):
    NuScenesDataset(tree)
    (path,) = cache.glob("*.json")
    record = json.loads(path.read_bytes())
    for key in ("../" * 20 + "etc/passwd", "", 7, None, "/" * 64):
        path.write_text(json.dumps(record | {"key": key}))
        assert NuScenesDataset(tree).scenes() == ("scene-0001",)


def test_a_link_in_place_of_the_cache_file(tree, cache, tmp_path):
    NuScenesDataset(tree)
    (path,) = cache.glob("*.index")
    path.unlink()
    path.symlink_to(tmp_path)
    assert NuScenesDataset(tree).scenes() == ("scene-0001",)


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


def test_tables_that_change_while_they_are_parsed_are_not_kept(tree, cache, monkeypatch):
    def slow_build(files):
        index = build_index(files)
        rename_scene(tree, "scene-0002")
        return index

    monkeypatch.setattr(nuscenes_cache, "build_index", slow_build)
    NuScenesDataset(tree)
    assert not list(cache.glob("*.index"))
    monkeypatch.setattr(nuscenes_cache, "build_index", build_index)
    assert NuScenesDataset(tree).scenes() == ("scene-0002",)


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


def test_refused_rows_are_kept_up_to_a_thousand():
    refused = {}
    for row in range(3000):
        remember(refused, [b"%d" % row], "broken")
    remember(refused, [], "a row without a token")
    assert len(refused) == 1000


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_folder() == tmp_path / "xdg" / "surround_depth"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / "home" / ".cache" / "surround_depth"
