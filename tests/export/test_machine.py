from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import surround_depth
from surround_depth.export.machine import cpu_model, describe_machine, package_versions, source_commit


def test_the_processor_is_read_from_linux(tmp_path: Path) -> None:
    first = "processor\t: 0\nmodel name\t: Example CPU 9000\nflags\t\t: fpu avx avx2\n\n"
    (tmp_path / "cpuinfo").write_text(first + first.replace("9000", "1"))
    assert cpu_model(tmp_path / "cpuinfo") == "Example CPU 9000 avx2"
    assert cpu_model(tmp_path / "none")


def test_the_commit_says_when_it_is_not_the_whole_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surround_depth, "__file__", str(tmp_path / "surround_depth" / "__init__.py"))
    assert source_commit() == "no checkout"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("one")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    clean = source_commit()
    assert len(clean) == 12
    (tmp_path / "file").write_text("two")
    assert source_commit() == f"{clean}+changes"


def test_the_machine_and_versions_are_told() -> None:
    assert set(describe_machine()) == {"cpu", "cores", "memory", "gpu", "system", "commit"}
    assert package_versions()["numpy"]
