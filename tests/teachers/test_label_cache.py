"""Labels on disk: found by what they are of, refused when they are something else, and read instead of the teacher."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.teachers.label_cache import CachedTeacher, LabelCache, LabelError, cache_key
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel

SHAPE = (2, 32, 64)
OWN_ID, OTHER_ID = (hashlib.sha256(name).hexdigest() for name in (b"own", b"other"))
VALID = np.arange(64)[None, None] < np.array([50, 64])[:, None, None]
GIVEN = TeacherInput("moment-7", ("L", "R"), np.zeros((*SHAPE, 3), np.uint8), np.ones(2, bool), label_id=OWN_ID)


class CountingTeacher:
    """Says something else every time, so that a label which it made now is told from one that was kept."""

    name, licence, fingerprint, metric = "counting", "MIT", "f" * 64, False

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        self.n_calls += 1
        valid = np.broadcast_to(VALID, SHAPE).copy()
        r = np.random.default_rng(self.n_calls).uniform(-1.0, 3.0, SHAPE).astype(np.float32)
        return TeacherLabel(r, valid, ~valid)


@pytest.fixture
def cache(tmp_path: Path) -> LabelCache:
    return LabelCache(tmp_path / "labels", cache_key(CountingTeacher.fingerprint, *SHAPE[1:]))


def test_a_label_is_found_by_its_id(cache: LabelCache) -> None:
    assert cache.read(OWN_ID, SHAPE) is None
    label = CountingTeacher()(GIVEN)
    n_bytes = cache.write(OWN_ID, label, GIVEN.sample_id)
    path = cache.path_of(OWN_ID)
    assert path.relative_to(cache.folder).as_posix() == f"{OWN_ID[:2]}/{OWN_ID}.label"
    assert path.stat().st_size == n_bytes
    found = cache.read(OWN_ID, SHAPE)
    assert found is not None
    np.testing.assert_array_equal(found.valid, label.valid)
    np.testing.assert_allclose(found.inverse_depth[found.valid], label.inverse_depth[label.valid], atol=4 * 2.0**-11)
    assert cache.read(OTHER_ID, SHAPE) is None


def test_teachers_and_sizes_do_not_meet() -> None:
    keys = [cache_key("a", 64, 96), cache_key("b", 64, 96), cache_key("a", 96, 64), cache_key("a", 64, 128)]
    assert len(set(keys)) == 4
    assert keys[0] == cache_key("a", 64, 96)


def test_what_is_damaged_or_belongs_elsewhere_is_named_with_what_to_do(cache: LabelCache, tmp_path: Path) -> None:
    cache.write(OWN_ID, CountingTeacher()(GIVEN), GIVEN.sample_id)
    path = cache.path_of(OWN_ID)
    whole = path.read_bytes()
    remedy = rf"delete {path.name}, or run tools/cache_teacher\.py again"
    for damaged in (whole[:-1], whole[:70], b"", whole[:200] + bytes([whole[200] ^ 4]) + whole[201:]):
        path.write_bytes(damaged)
        with pytest.raises(LabelError, match=rf"{path}.*{remedy}"):
            cache.read(OWN_ID, SHAPE)
    path.write_bytes(whole)
    with pytest.raises(LabelError, match=rf"{path} has labels of \(2, 32, 64\), the sample is \(2, 64, 64\)"):
        cache.read(OWN_ID, (2, 64, 64))

    renamed = cache.path_of(OTHER_ID)
    renamed.parent.mkdir(parents=True)
    renamed.write_bytes(whole)
    with pytest.raises(LabelError, match=rf"{renamed} does not belong here \(label_id differ; .* sample moment-7\)"):
        cache.read(OTHER_ID, SHAPE)

    elsewhere = LabelCache(tmp_path / "labels", cache_key("another teacher", *SHAPE[1:]))
    elsewhere.path_of(OWN_ID).parent.mkdir(parents=True)
    elsewhere.path_of(OWN_ID).write_bytes(whole)
    with pytest.raises(LabelError, match=r"does not belong here \(key differ"):
        elsewhere.read(OWN_ID, SHAPE)


def test_a_folder_in_the_place_of_a_label_is_one_line(cache: LabelCache) -> None:
    cache.path_of(OWN_ID).mkdir(parents=True)
    with pytest.raises(DataError, match=r"cannot be read .*check the folder"):
        cache.read(OWN_ID, SHAPE)


def test_the_folder_says_whose_labels_it_holds(cache: LabelCache) -> None:
    cache.describe(CountingTeacher(), *SHAPE[1:])
    about = json.loads((cache.folder / "about.json").read_text())
    assert about["teacher"] == "counting"
    assert about["licence"] == "MIT"
    assert (about["height_px"], about["width_px"]) == (32, 64)


def test_leftovers_of_a_kill_go_and_labels_stay(cache: LabelCache) -> None:
    cache.write(OWN_ID, CountingTeacher()(GIVEN), GIVEN.sample_id)
    path = cache.path_of(OWN_ID)
    leftover = path.with_name(f".{path.name}.0123456789abcdef.tmp")
    leftover.write_bytes(b"half")
    cache.clear_leftovers()
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_cached_teacher_reads_what_is_there_and_asks_for_the_rest(cache: LabelCache, tmp_path: Path) -> None:
    teacher = CountingTeacher()
    cached = CachedTeacher(teacher, tmp_path / "labels")
    assert (cached.name, cached.licence, cached.fingerprint, cached.metric) == ("counting", "MIT", "f" * 64, False)
    kept = teacher(GIVEN)
    cache.write(OWN_ID, kept, GIVEN.sample_id)
    found = cached(GIVEN)
    assert teacher.n_calls == 1
    np.testing.assert_allclose(found.inverse_depth[found.valid], kept.inverse_depth[kept.valid], atol=4 * 2.0**-11)
    np.testing.assert_array_equal(found.sky, kept.sky)

    cached(replace(GIVEN, label_id=OTHER_ID))  # not there
    cached(replace(GIVEN, label_id=None))  # framed at random
    assert teacher.n_calls == 3
    assert cache.read(OTHER_ID, SHAPE) is None  # only the tool fills the cache


def test_a_required_label_is_asked_for_by_name(tmp_path: Path) -> None:
    teacher = CountingTeacher()
    cached = CachedTeacher(teacher, tmp_path / "labels", required=True)
    with pytest.raises(
        DataError, match=r"moment-7: .*labels has no label of teacher counting .* at 32x64; run tools/ca"
    ):
        cached(GIVEN)
    assert teacher.n_calls == 0
    cached(replace(GIVEN, label_id=None))
    assert teacher.n_calls == 1


def test_damage_is_never_passed_over_in_silence(cache: LabelCache, tmp_path: Path) -> None:
    cache.write(OWN_ID, CountingTeacher()(GIVEN), GIVEN.sample_id)
    cache.path_of(OWN_ID).write_bytes(b"")
    with pytest.raises(LabelError):
        CachedTeacher(CountingTeacher(), tmp_path / "labels")(GIVEN)
