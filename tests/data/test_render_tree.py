"""Several drives in one tree: readable at once, the same bytes from one process or two."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from surround_depth.data import render_tree as module
from surround_depth.data.build import open_dataset
from surround_depth.data.render_tree import dgp_format, nuscenes_format, render_tree
from surround_depth.data.synthetic.drive import DriveConfig
from surround_depth.errors import DataError
from surround_depth.imaging import InputSpec, plan_images
from surround_depth.rig import load_rig


def drives() -> list[DriveConfig]:
    rig = plan_images(load_rig("nuscenes"), InputSpec(height_px=32, width_px=64)).network_rig
    return [DriveConfig(seed, rig, n_frames=1) for seed in (3, 4)]


def digests(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def must_not_render(*_: object) -> None:
    raise AssertionError("rendered before the check")


def test_a_finished_tree_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_rendered", must_not_render)
    for index in ("v1.0-mini/sample_data.json", "scene_dataset_v1.0.json"):
        root = tmp_path / index.split("/")[-1]
        (root / index).parent.mkdir(parents=True)
        (root / index).write_text("[]")
        with pytest.raises(DataError, match="already holds a tree"):
            render_tree(root, drives(), nuscenes_format())


def test_two_drives_of_one_seed_are_refused_before_rendering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_rendered", must_not_render)
    with pytest.raises(DataError, match="scene-0003 would be rendered twice"):
        render_tree(tmp_path, [*drives(), drives()[0]], nuscenes_format())


@pytest.mark.slow
def test_workers_change_no_byte(tmp_path: Path) -> None:
    finished: list[str] = []
    render_tree(tmp_path / "one", drives(), nuscenes_format(), on_drive=lambda record: finished.append(record.name))
    render_tree(tmp_path / "two", drives(), nuscenes_format(), workers=2)
    assert finished == ["scene-0003", "scene-0004"] == list(open_dataset("synthetic", tmp_path / "one").scenes())
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_dgp_tree_reads_as_ddad(tmp_path: Path) -> None:
    render_tree(tmp_path, drives()[:1], dgp_format("val"))
    dataset = open_dataset("ddad", tmp_path)
    assert list(dataset.scenes()) == ["scene-0003"]
    assert len(dataset.sequence("scene-0003")) == 1
