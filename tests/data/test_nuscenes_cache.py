"""The cached index: used while the tables stay the same, made again when they or it change, never trusted blindly."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from surround_depth.data import array_file, nuscenes_cache
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.nuscenes_index import ARRAYS, NuScenesIndex
from surround_depth.data.nuscenes_parse import build_index
from surround_depth.data.nuscenes_tables import remember, table_files

VERSION = "v1.0-mini"


@pytest.fixture
def tree(tables) -> Path:
    return tables


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


def test_refused_rows_are_kept_up_to_a_thousand():
    refused = {}
    for row in range(3000):
        remember(refused, [b"%d" % row], "broken")
    remember(refused, [], "a row without a token")
    assert len(refused) == 1000
