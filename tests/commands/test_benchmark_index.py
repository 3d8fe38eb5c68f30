"""The index benchmark on two scenes of trainval: it runs as a user types it, and measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from surround_depth.benchmarks.index_tables import VERSION, write_large_tables
from surround_depth.data.nuscenes import NuScenesDataset


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> tuple[Path, dict[str, int]]:
    root = tmp_path_factory.mktemp("large")
    return root, write_large_tables(root, scale=2 / 850)


def test_the_tables_are_trainval_in_small(tables):
    """Published: 850 scenes, 34,149 samples; 2,631,083 rows of sample_data; 1,166,187 annotations."""
    root, rows = tables
    assert rows["sample_data"] == rows["ego_pose"] == pytest.approx(2_631_083 * 2 / 850, rel=0.03)
    assert rows["sample_annotation"] == pytest.approx(1_166_187 * 2 / 850, rel=0.03)
    assert rows["sample"] == pytest.approx(34_149 * 2 / 850, abs=2)
    dataset = NuScenesDataset(root)
    assert dataset.scenes() == ("scene-0001", "scene-0002")
    sequence = dataset.sequence("scene-0001")
    assert sequence[0].frame.camera_valid.all()
    assert len(sequence[0].lidar) == 1000
    assert len(NuScenesDataset(root, rate="sweeps").sequence("scene-0001")) == 240
    assert sum(len(dataset.sequence(name).boxes(i)) for name in dataset.scenes() for i in range(40)) > 2000


def test_the_tables_repeat(tables, tmp_path):
    write_large_tables(tmp_path, scale=2 / 850)
    for path in (tables[0] / VERSION).iterdir():
        assert (tmp_path / VERSION / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_the_command(checkout, tmp_path):
    command = [sys.executable, str(checkout / "tools" / "benchmark_index.py"), "--scale", "0.0024", "--out", "out"]
    done = subprocess.run(
        [*command, "--repeats", "1"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    figures_file, table_file = sorted((tmp_path / "out").iterdir())
    result, text = json.loads(figures_file.read_text()), table_file.read_text()
    names = [measured["what"] for measured in result["measured"]]
    assert ("nuscenes-devkit" in names) == (find_spec("nuscenes") is not None)
    assert all(measured["open_s"] < measured["process_s"] for measured in result["measured"])
    assert all(10 < measured["peak_mb"] < 1000 for measured in result["measured"])
    assert text in done.stdout
    assert all(f"| {name} |" in text for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--scale", "0"], "--scale is 0.0; it is a share of trainval, above zero"),
        (["--scale", "nan"], "--scale is nan; it is a share of trainval, above zero"),
        (["--repeats", "0"], "--repeats is 0; measure at least once"),
        (["--work", "gone"], "no folder can be made in gone (No such file or directory); choose another --work"),
    ],
)
def test_wrong_options(checkout, tmp_path, arguments, complaint):
    command = [sys.executable, str(checkout / "tools" / "benchmark_index.py"), "--out", "out", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, f"error: {complaint}\n")
