"""The scorer's command: its files, its processes, its round trip through a prediction folder, its refusals."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_engine import write_tiny_engine

Result = subprocess.CompletedProcess[str]


def start(checkout: Path, folder: Path, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(checkout / "tools" / "evaluate.py"), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, env=os.environ | environment, **pipes)  # type: ignore[call-overload, no-any-return]


def evaluate(checkout: Path, folder: Path, *arguments: object) -> Result:
    process = start(checkout, folder, *arguments)
    output, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def scores(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "scores.json").read_text()))


@pytest.fixture(scope="module")
def scored(checkout: Path, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder where an engine was scored to `one`, its answers saved to `saved`; the engine stays beside them."""
    folder = tmp_path_factory.mktemp("scored")
    write_tiny_engine(folder / "engine")
    options = ("--engine", "engine", "--mean-of", "scene-0001", "--save-predictions", "saved", "--out", "one")
    result = evaluate(checkout, folder, "--dataset", "synthetic", "--root", tree, *options)
    assert result.returncode == 0, result.stderr
    return folder, result


def test_the_files_of_a_result(scored: tuple[Path, Result]) -> None:
    folder, result = scored
    found = scores(folder / "one")
    assert found["protocol"]["name"] == "strict"
    assert found["predictor"]["kind"] == "engine"
    assert found["samples"]["n"] == 3
    assert found["dataset"]["version"] == "v1.0-mini"
    assert found["counts"]["batches"] == 3
    # the drive stands before its own mean
    means = {name: groups["metric"]["mean"]["abs_rel"] for name, groups in found["baselines"].items()}
    assert means.keys() == {"per-pixel mean", "per-pixel median"}
    assert means["per-pixel median"] < found["groups"]["metric"]["mean"]["abs_rel"]
    records = (folder / "one" / "records.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["group"] == "metric" for line in records) == 3 * 2  # samples, cameras
    assert (folder / "one" / "scores.md").read_text() in result.stdout


def test_the_page_needs_nothing_beside_it(scored: tuple[Path, Result]) -> None:
    page = (scored[0] / "one" / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3  # one of three frames cannot be among the best and the worst
    for outside in ("http:", "https:", "url(", "<script", "<link", 'src="/', "$"):
        assert outside not in page, outside


def test_saved_answers_score_the_same(checkout: Path, tree: Path, scored: tuple[Path, Result]) -> None:
    folder, _ = scored
    options = ("--predictions", "saved", "--dataset", "synthetic", "--root", tree, "--out", "two")
    result = evaluate(checkout, folder, *options)
    assert result.returncode == 0, result.stderr
    one, two = scores(folder / "one"), scores(folder / "two")
    assert (folder / "one/records.jsonl").read_bytes() == (folder / "two/records.jsonl").read_bytes()
    for key in ("groups", "truth", "samples", "protocol"):
        assert one[key] == two[key]
    assert two["predictor"]["kind"] == "folder"
    assert len(two["predictor"]["sha256"]) == 64


def test_two_processes_score_the_same(checkout: Path, tree: Path, scored: tuple[Path, Result]) -> None:
    folder, _ = scored
    options = ("--engine", "engine", "--dataset", "synthetic", "--root", tree, "--out", "shared")
    workers = [
        start(checkout, folder, *options, RANK=str(rank), WORLD_SIZE="2", TORCHELASTIC_RUN_ID="1") for rank in (0, 1)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    assert (folder / "one/records.jsonl").read_bytes() == (folder / "shared/records.jsonl").read_bytes()
    one, shared = scores(folder / "one"), scores(folder / "shared")
    for key in ("groups", "truth", "counts"):
        assert one[key] == shared[key]
    assert sorted(path.name for path in (folder / "shared").iterdir()) == [
        "index.html", "records.jsonl", "scores.json", "scores.md"
    ]  # fmt: skip


def test_a_failing_process_is_named(checkout: Path, tree: Path, scored: tuple[Path, Result]) -> None:
    """The answer for the second sample, rank 1's only one, is missing: rank 0 says so instead of waiting."""
    folder, _ = scored
    shutil.copytree(folder / "saved", folder / "partial")
    records = map(json.loads, (folder / "one" / "records.jsonl").read_text().splitlines())
    shutil.rmtree(folder / "partial" / next(record["frame_id"] for record in records if record["index"] == 1))
    common = ("--predictions", "partial", "--dataset", "synthetic", "--root", tree, "--on-damage", "skip")
    options = (*common, "--out", "failing")  # a missing answer is no damage of the data
    workers = [
        start(checkout, folder, *options, RANK=str(rank), WORLD_SIZE="2", TORCHELASTIC_RUN_ID="1") for rank in (0, 1)
    ]
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [2, 2]
    assert "/F as .npz, .npy or .png" in errors[1]
    assert errors[0].startswith("error: rank 1 of 2 failed")
    assert [text.count("\n") for text in errors] == [1, 1], errors
    result = evaluate(checkout, folder, *common, "--missing", "no_answer", "--out", "gaps")
    assert result.returncode == 0, result.stderr
    found = scores(folder / "gaps")
    assert len(found["counts"]["missing"]) == 2  # both cameras of the sample
    assert found["counts"]["coverage"] == pytest.approx(2 / 3)
    assert found["truth"] == scores(folder / "one")["truth"]
    assert "Only 66.67 %" in result.stdout


def test_several_protocols_in_one_run(checkout: Path, tree: Path, scored: tuple[Path, Result]) -> None:
    folder, _ = scored
    common = ("--engine", "engine", "--dataset", "synthetic", "--root", tree, "--frames", 0)
    result = evaluate(checkout, folder, *common, "--protocol", "strict", "sd:noflip", "--out", "both")
    assert result.returncode == 0, result.stderr
    assert scores(folder / "both" / "strict")["groups"] == scores(folder / "one")["groups"]
    assert scores(folder / "both" / "sd_noflip")["protocol"]["name"] == "sd:noflip"
    rows = (folder / "both" / "protocols.md").read_text().splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        "strict, metric", "strict, median", "sd:noflip, metric", "sd:noflip, median"
    ]  # fmt: skip
    result = evaluate(checkout, folder, *common, "--protocol", "strict", "vi", "--compare", "one", "--out", "no")
    assert (result.returncode, "go with one --protocol" in result.stderr) == (2, True)


def test_damage_is_skipped_only_when_asked(
    checkout: Path, tree: Path, scored: tuple[Path, Result], tmp_path: Path
) -> None:
    folder, _ = scored
    damaged = tmp_path / "tree"
    shutil.copytree(tree, damaged)
    image = min((damaged / "samples" / "F").iterdir())  # of the first sample: the second must not be lost with it
    image.write_bytes(image.read_bytes()[:500])
    options = ("--engine", folder / "engine", "--dataset", "synthetic", "--root", damaged, "--out", tmp_path / "out")
    result = evaluate(checkout, tmp_path, *options)
    assert result.returncode == 2
    assert image.name in result.stderr
    result = evaluate(checkout, tmp_path, *options, "--on-damage", "skip")
    assert result.returncode == 0, result.stderr
    found = scores(tmp_path / "out")
    assert len(found["counts"]["damaged"]) == 1
    assert image.name in found["counts"]["damaged"][0]
    assert found["groups"]["metric"]["n_units"] == 2 * 2


@pytest.mark.parametrize(
    "options, complaint",
    [
        (("--root", "nowhere"), "nowhere"),
        (("--scenes", "scene-9999"), "scene-9999"),
        (("--protocol", "kitti"), "there are strict, sd"),
        (("--protocol", "vf"), "3 samples make no batch of 4"),
        (("--stride", "0"), "--stride 0"),
        (("--masks", "."), "own-body mask of"),
        (("--split", "nosuch"), "split 'nosuch'"),
        (("--compare", "one"), "say nothing; score at least 3"),
    ],
)
def test_mistakes_are_one_line(
    checkout: Path, tree: Path, scored: tuple[Path, Result], options: tuple[str, ...], complaint: str
) -> None:
    common = ("--engine", "engine", "--dataset", "synthetic", "--root", tree, "--out", "mistakes")
    result = evaluate(checkout, scored[0], *common, *options)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
