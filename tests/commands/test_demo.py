"""`make demo` in small: every stage runs, and the page and its report come out (the numbers are not judged here)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from surround_depth.errors import ConfigError
from surround_depth.evaluation.demo_report import PREDICTORS


def room_maker(checkout: Path) -> Callable[[Path], None]:
    """Return `make_room` of the script, which is no package."""
    spec = importlib.util.spec_from_file_location("demo", checkout / "tools/demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    make_room: Callable[[Path], None] = module.make_room
    return make_room


def test_only_a_tree_of_the_demo_is_deleted(checkout: Path, tmp_path: Path) -> None:
    make_room = room_maker(checkout)
    data = tmp_path / "demo" / "data"
    make_room(data)  # nothing there yet
    (data / "half_made").write_text("a crash left this")
    make_room(data)
    assert not (data / "half_made").exists()
    precious = tmp_path / "data"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=f"{precious} holds files that no demo made"):
        make_room(precious)
    assert (precious / "thesis.tex").exists()
    link = tmp_path / "link"
    link.symlink_to(precious)
    with pytest.raises(ConfigError, match="no folder of its own"):
        make_room(link)


@pytest.mark.slow
def test_demo_runs_to_the_end(checkout: Path, tmp_path: Path) -> None:
    sizes = ["--drives", "1", "--samples", "1", "--steps", "3", "--held-out-samples", "2"]
    result = subprocess.run(
        [sys.executable, str(checkout / "tools/demo.py"), "--out", "demo", *sizes],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode in (0, 1), result.stderr
    assert f"open {tmp_path / 'demo/index.html'}" in result.stdout
    report = json.loads((tmp_path / "demo/report.json").read_text())
    assert set(report["abs_rel"]) == set(PREDICTORS)
    for name in ("index.html", "live/mosaic.mp4", "live/cloud.ply", "pictures/front.jpg", "pictures/rear.jpg"):
        assert (tmp_path / "demo" / name).stat().st_size > 1000
