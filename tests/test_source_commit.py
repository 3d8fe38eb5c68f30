"""Which code and which command made a result."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import surround_depth
from surround_depth.provenance import command_line, package_versions, source_commit


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


def test_an_install_inside_somebody_elses_checkout_is_not_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    site = tmp_path / ".venv" / "lib" / "surround_depth" / "__init__.py"
    monkeypatch.setattr(surround_depth, "__file__", str(site))
    assert source_commit() == "no checkout"


def test_only_installed_packages_have_a_version() -> None:
    versions = package_versions(("numpy", "no-such-package"))
    assert set(versions) == {"python", "numpy"}
    assert versions["numpy"] == np.__version__


def test_a_recorded_command_names_no_folder_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [
        "--out",
        str(tmp_path / "out/a b"),
        "--init=/home/me/weights/nano",
        "data.root=/data/drives",
        "--n",
        "3",
    ]
    monkeypatch.setattr("sys.argv", ["/home/me/checkout/tools/demo.py", *arguments])
    assert command_line() == "python tools/demo.py --out 'out/a b' --init=nano data.root=drives --n 3"
