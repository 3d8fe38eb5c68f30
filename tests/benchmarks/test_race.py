"""Students beside others: every cell from what was measured, and nothing is measured in vain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from box_tree import rendered
from box_world import BoxDrive
from whole_trees import write_nuscenes

import surround_depth
from surround_depth.benchmarks import race as race_module
from surround_depth.benchmarks import teachers
from surround_depth.benchmarks.race import Lap, Race, measure, race_report
from surround_depth.benchmarks.report import Table
from surround_depth.errors import ConfigError, EngineMismatchError
from surround_depth.export import frames as frames_module
from surround_depth.export.frames import DriveSource, ProofFrames, dataset_frames
from surround_depth.imaging import InputSpec

RACE = Race(InputSpec(height_px=256, width_px=448), n_cameras=6, runs=5, threads=2)
TINY = InputSpec(height_px=64, width_px=96)
SHIPPED = Path(surround_depth.__file__).parent / "weights" / "nano_synthetic"


def test_the_table_says_what_was_measured() -> None:
    lap = Lap("nano", "int8", None, "dav2-s", "Depth Anything V2 S (24.8 M)", (252, 448), 40.0, 2300.0)
    report = race_report([lap], RACE)
    table, meaning = report.blocks
    assert isinstance(table, Table)
    assert table.rows == (("nano", "int8", "-", "Depth Anything V2 S (24.8 M), 252 x 448", "40.0", "2300", "57.5"),)
    assert "256 x 448" in str(meaning)
    assert "nothing was scored" in str(meaning)
    assert "int8" not in str(meaning)
    assert report.figures["laps"][0]["times_as_fast"] == 57.5


@pytest.mark.slow
def test_a_race_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(teachers._SHAPES, "S", (24, 2, 4, (1, 2, 3, 4), (8, 8, 8, 8), 8))
    laps = measure(["pico"], ["dav2-s"], Race(TINY, 2, runs=2, threads=1, precisions=("fp32", "int8")))
    assert [lap.precision for lap in laps] == ["fp32", "int8"]
    assert all(lap.student_p50_ms > 0 and lap.rival_p50_ms > 0 and lap.accuracy is None for lap in laps)


@pytest.mark.slow
def test_a_trained_student_is_scored_as_it_is_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(teachers._SHAPES, "S", (24, 2, 4, (1, 2, 3, 4), (8, 8, 8, 8), 8))
    drive = BoxDrive(n_samples=2)
    write_nuscenes(tmp_path / "tree", [rendered(drive)])
    source = DriveSource("synthetic", tmp_path / "tree")
    race = Race(TINY, len(drive.rig), runs=1, threads=1, drive=source)
    (lap,) = measure([str(SHIPPED)], ["dav2-s"], race)
    assert lap.student == str(SHIPPED)
    assert lap.accuracy is not None
    assert 0 < lap.accuracy.abs_rel < 10
    assert lap.accuracy.n_frames == 2
    assert "2 frames of tree" in str(race_report([lap], race).blocks)


@pytest.mark.slow
def test_ranges_are_read_off_other_drives_and_each_engine_is_scored_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for size in ("S", "B"):
        monkeypatch.setitem(teachers._SHAPES, size, (24, 2, 4, (1, 2, 3, 4), (8, 8, 8, 8), 8))
    drive = BoxDrive(n_samples=2)
    write_nuscenes(tmp_path / "scored", [rendered(drive)])
    scored, other = (DriveSource("synthetic", tmp_path / name) for name in ("scored", "other"))
    read: list[DriveSource | None] = []

    def noted(source: DriveSource | None, n_cameras: int, n_frames: int) -> ProofFrames:
        read.append(source)
        return dataset_frames(scored, n_cameras, n_frames)

    monkeypatch.setattr(race_module, "dataset_frames", noted)
    monkeypatch.setattr(frames_module, "dataset_frames", noted)
    race = Race(TINY, len(drive.rig), runs=1, threads=1, precisions=("int8",), drive=scored, calibration=other)
    laps = measure([str(SHIPPED)], ["dav2-s", "dav2-b"], race)
    assert [lap.rival for lap in laps] == ["dav2-s", "dav2-b"]
    assert read == [other, scored]


def test_the_table_says_what_int8s_ranges_are_off() -> None:
    scored, other = DriveSource("synthetic", Path("a/scored")), DriveSource("synthetic", Path("a/other"))
    int8 = replace(RACE, precisions=("fp32", "int8"))
    for race, words in (
        (int8, "off random images"),
        (replace(int8, calibration=other), "off other."),
        (
            replace(int8, drive=scored, calibration=DriveSource("synthetic", Path("a/../a/scored"))),
            "off the same drives",
        ),
        (replace(int8, drive=scored), "off the same drives (scored)"),
        (replace(int8, drive=scored, calibration=other), "off other drives (other)"),
    ):
        assert words in str(race_report([], race).blocks[1])


@pytest.mark.parametrize(
    ("students", "options", "error", "words"),
    [
        (["nano"], {"runs": 0}, ConfigError, "--runs is 0"),
        (["gigantic"], {}, ConfigError, "gigantic"),
        (["nano"], {"engine": "tensorrt"}, ConfigError, "run on a CPU"),
        (["nano"], {"precisions": ("fp16",)}, EngineMismatchError, "fp16"),
    ],
)
def test_what_cannot_be_run_is_refused_first(
    students: list[str], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    race = Race(**{"input": TINY, "n_cameras": 6, "runs": 1, "threads": 1} | options)
    with pytest.raises(error, match=words):
        measure(students, ["dav2-s"], race)
