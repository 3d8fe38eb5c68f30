"""The three commands for real data as they are typed: label once, train from the labels, evaluate. On tiny trees of
their formats, with a tiny Depth Anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from box_tree import rendered
from box_world import BoxDrive
from sweep_tree import add_sweeps
from tiny_depth_models import save_depth_anything
from whole_trees import write_nuscenes

from surround_depth.data.synthetic.drive_types import RenderedDrive
from surround_depth.data.writers.dgp_tree import write_dgp_drive_files, write_scene_list
from surround_depth.imaging import InputSpec, plan_images
from surround_depth.rig import load_rig

# each has the length of a whole run, and a student that takes minutes to train
SMALL = ("input={height_px: 64, width_px: 96}", "student.preset=pico", "optim.steps=2", "optim.batch_size=1")
SMALLER = ("data.n_workers=1", "watch.n_val_samples=1", "optim.precision=fp32", "optim.accumulation=1")


def drive(name: str, rig: str) -> RenderedDrive:
    small = plan_images(load_rig(rig), InputSpec(height_px=64, width_px=96)).network_rig
    return rendered(BoxDrive(rig=small, n_samples=2, period_ns=500_000_000), name)


def nuscenes_tree(root: Path) -> list[str]:
    """Write a tree, and return what a run on it sets."""
    write_nuscenes(root / "tree", [drive("scene-0001", "nuscenes"), drive("scene-0003", "nuscenes")])
    add_sweeps(root / "tree")
    for name, scene in (("train", "scene-0001"), ("val", "scene-0003")):
        (root / f"{name}.txt").write_text(f"{scene}\n")
    return ["data.version=null", f"data.train_split={root}/train.txt", f"data.val_split={root}/val.txt"]


def ddad_tree(root: Path) -> list[str]:
    splits = {
        split: [write_dgp_drive_files(root / "tree", drive(name, "ddad"))]
        for split, name in (("train", "000000"), ("val", "000150"))
    }
    write_scene_list(root / "tree", splits)
    return []


@pytest.mark.slow
@pytest.mark.parametrize("config", ["nuscenes_nano", "ddad_nano"])
def test_label_train_evaluate(config: str, checkout: Path, tmp_path: Path) -> None:
    kind = config.partition("_")[0]
    places = {"nuscenes": nuscenes_tree, "ddad": ddad_tree}[kind](tmp_path)
    save_depth_anything(tmp_path / "model")
    teacher = f"teacher.depth_anything.source={tmp_path}/model"
    changes = [f"data.root={tmp_path}/tree", *places, teacher, "teacher.depth_anything.short_side_px=28"]
    options = [word for one in (*changes, *SMALL, *SMALLER) for word in ("--set", one)]

    def run(script: str, *arguments: str) -> str:
        command = [sys.executable, str(checkout / "tools" / script), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    said = run("cache_teacher.py", "--config", config, *options, "--cache", "labels")
    assert "2 labels made, 0 were there" in said
    # a worker of the loader refuses what is not among the labels
    run("train_fsmde.py", "--config", config, *options, "--set", "teacher.cache=labels", "--out", "run")
    losses = [json.loads(line) for line in (tmp_path / "run" / "loss_curve.jsonl").read_text().splitlines()]
    assert len(losses) == 2
    assert losses[1]["terms"]["dense"] > 0.0
    split = f"{tmp_path}/val.txt" if kind == "nuscenes" else "val"
    data = ("--dataset", kind, "--root", "tree", "--split", split)
    run("evaluate.py", "--checkpoint", "run/student", *data, "--protocol", "sd", "--out", "scores")
    assert "AbsRel" in (tmp_path / "scores" / "scores.md").read_text()
