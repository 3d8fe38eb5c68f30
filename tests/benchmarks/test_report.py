"""A report says everything a reader needs, the same in both files, and a run that cannot be kept does not start."""

from __future__ import annotations

import json

import pytest

from surround_depth.benchmarks.report import Report, Run, Table, require_repeats, start_run, write_report
from surround_depth.errors import ConfigError, DataError

RUN = Run(
    date="2026-02-03",
    command="python tools/x.py",
    machine={"cpu": "C", "cores": "2", "memory": "4 GiB", "gpu": "none", "system": "Linux", "commit": "abc"},
    load=0.25,
    versions={"python": "3.11"},
)


def test_both_files_by_hand(tmp_path):
    table = Table(("what", "ms"), (("a", "1.0"), ("b", "")))
    text = write_report(Report("x", "Title", ("First.", table), {"a_ms": 1.0}), RUN, tmp_path)
    assert text == (
        "# Title\n\n"
        "`python tools/x.py` at commit abc, 2026-02-03. C, cores: 2, 4 GiB, GPU: none, Linux; load at the start 0.2. "
        "python 3.11.\n\n"
        "First.\n\n"
        "| what | ms |\n| --- | ---: |\n| a | 1.0 |\n| b |  |\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"2026-02-03-x.md", "2026-02-03-x.json"}
    assert (tmp_path / "2026-02-03-x.md").read_text() == text
    figures = json.loads((tmp_path / "2026-02-03-x.json").read_text())
    assert figures["a_ms"] == 1.0
    assert figures["run"]["machine"]["commit"] == "abc"


def test_a_folder_that_cannot_be_made_is_told_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/out cannot be made .*; choose another --out"):
        start_run(tmp_path / "file" / "out", ())


def test_nothing_is_not_measured():
    require_repeats("--repeats", 1)
    with pytest.raises(ConfigError, match="--samples is 0; measure at least once"):
        require_repeats("--samples", 0)
