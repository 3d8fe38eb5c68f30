"""The Python of docs/evaluate.md, run as it stands on a small tree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def blocks(checkout: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (checkout / "docs" / "evaluate.md").read_text(), flags=re.DOTALL)


def run(code: str, folder: Path, tree: Path) -> str:
    (folder / "data").mkdir()
    (folder / "data" / "streets").symlink_to(tree)
    result = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_maps_are_written_where_the_scorer_looks(blocks: list[str], tree: Path, tmp_path: Path) -> None:
    run(blocks[0], tmp_path, tree)
    written = sorted(path.name for path in (tmp_path / "out" / "twenty_metres").rglob("*.npz"))
    assert written == ["B.npz"] * 3 + ["F.npz"] * 3


def test_a_predictor_of_ones_own_is_scored(blocks: list[str], tree: Path, tmp_path: Path) -> None:
    assert len(blocks) == 2
    printed = run(blocks[1], tmp_path, tree)
    assert float(re.match(r"\{'abs_rel': ([0-9.]+)", printed)[1]) > 0.1  # type: ignore[index]
