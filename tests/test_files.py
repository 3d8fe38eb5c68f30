"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path

import pytest

from surround_depth.errors import DataError
from surround_depth.files import atomic_directory, atomic_file, clear_leftovers, write_atomic, write_json


def test_a_file_and_its_folder_appear(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b", b"one")
    write_atomic(tmp_path / "a" / "b", b"two")
    assert (tmp_path / "a" / "b").read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(DataError, match="taken cannot be written"):
        write_atomic(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail_halfway() -> None:
        with atomic_file(tmp_path / "a") as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_two_writers_of_one_process_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with atomic_file(path) as first:
        first.write(b"A" * 100)
        first.flush()
        with atomic_file(path) as second:
            second.write(b"B" * 50)
        first.write(b"A" * 100)
    assert path.read_bytes() == b"A" * 200
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_a_folder_appears_readable_by_others_and_not_before_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "engine"
    before = os.umask(0o077)
    try:
        with atomic_directory(target) as folder:
            (folder / "part").mkdir()
            (folder / "part" / "one").write_text("1")
            assert not target.exists()
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert (target / "part" / "one").read_text() == "1"
    assert [path.name for path in target.parent.iterdir()] == ["engine"]


def test_the_whole_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "stale").touch()
    with atomic_directory(tmp_path / "engine") as folder:
        (folder / "fresh").touch()
        assert (tmp_path / "engine" / "stale").exists()
    assert [path.name for path in (tmp_path / "engine").iterdir()] == ["fresh"]
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_a_failure_leaves_the_old_folder_and_no_litter(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "old").touch()

    def fail_halfway() -> None:
        with atomic_directory(tmp_path / "engine") as folder:
            (folder / "half").touch()
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway()
    assert [path.name for path in (tmp_path / "engine").iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_the_old_folder_comes_back_when_the_last_rename_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "old").touch()
    rename = Path.rename

    def fail_for_the_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with (
        pytest.raises(DataError, match=r"engine cannot be written \(No space left"),
        atomic_directory(tmp_path / "engine"),
    ):
        pass
    assert [path.name for path in (tmp_path / "engine").iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="x cannot be written"), atomic_directory(tmp_path / "file" / "x"):
        pass
    with pytest.raises(DataError, match="file cannot be written"), atomic_directory(tmp_path / "file"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_json_has_no_number_that_does_not_exist(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": (1.5, math.nan), "b": {"c": math.inf, "d": "nan"}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1.5, None], "b": {"c": None, "d": "nan"}}


def test_a_folder_is_on_the_disk_with_its_names_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").resolve()))
    with atomic_directory(tmp_path / "whole") as fresh:
        (fresh / "part").mkdir()
        (fresh / "part" / "file").touch()
    assert synced == [fresh / "part" / "file", fresh / "part", fresh, tmp_path]


def test_what_a_killed_writer_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.json.77.tmp", ".b.json.77.tmp", "a.json", ".a"):
        (tmp_path / name).touch()
    (tmp_path / ".step-3.xy" / "new").mkdir(parents=True)
    clear_leftovers(tmp_path, "a.json", "step-*")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a", ".b.json.77.tmp", "a.json"]
    clear_leftovers(tmp_path / "absent", "a")
