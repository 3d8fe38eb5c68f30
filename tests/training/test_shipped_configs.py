"""Every shipped training configuration, dry-run for real on trees of its data sets' formats and rigs, only small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from box_tree import rendered
from box_world import BoxDrive
from sweep_tree import add_sweeps
from tiny_depth_models import save_depth_anything
from whole_trees import write_nuscenes

from surround_depth.config import load_config
from surround_depth.data.synthetic.drive_types import RenderedDrive
from surround_depth.data.writers.dgp_tree import write_dgp_drive_files, write_scene_list
from surround_depth.evaluation.baseline import per_pixel_mean_m
from surround_depth.imaging import InputSpec, plan_images
from surround_depth.rig import load_rig
from surround_depth.training.config import TrainConfig
from surround_depth.training.rehearsal import dry_run
from surround_depth.training.run import run_training

torch.set_num_threads(1)

CONFIGS = sorted(p.stem for p in (Path(__file__).parents[2] / "surround_depth" / "configs" / "train").glob("*.yaml"))
SIZE = "{height_px: 64, width_px: 96}"
TRAINS, JUDGES = "scene-0001", "scene-0003"  # of the official nuScenes lists


class Silent:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_step(self, step: int, report: Any) -> None:
        self.events.append(float(report.loss.total.detach()))

    def on_validation(self, step: int, validation: Any) -> None:
        self.events.append(f"validated {step}")

    def on_notice(self, text: str) -> None: ...


def drive(name: str, rig: str) -> RenderedDrive:
    small = plan_images(load_rig(rig), InputSpec(height_px=64, width_px=96)).network_rig
    return rendered(BoxDrive(rig=small, n_samples=2, period_ns=500_000_000), name)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree for each data set of the configurations: two drives of two samples, as their readers know them."""
    root = tmp_path_factory.mktemp("trees")
    write_nuscenes(root / "nuscenes", [drive(TRAINS, "nuscenes"), drive(JUDGES, "nuscenes")])
    add_sweeps(root / "nuscenes")
    splits = {
        split: [write_dgp_drive_files(root / "ddad", drive(name, "ddad"))]
        for split, name in (("train", "000000"), ("val", "000150"))
    }
    write_scene_list(root / "ddad", splits)
    for rig in ("nuscenes", "ddad", "ring5"):
        # where a dry run renders its own; without a note nobody asks how it was rendered
        write_nuscenes(root / f"synthetic-{rig}-dry-run", [drive(TRAINS, rig), drive(JUDGES, rig)])
    save_depth_anything(root / "depth_anything")
    (root / "train.txt").write_text(f"{TRAINS}\n")
    (root / "val.txt").write_text(f"{JUDGES}\n")
    return root


def pointed_at(trees: Path, name: str) -> TrainConfig:
    """Return a shipped configuration as it is, but for where its data lies and the size of pictures, student, batch."""
    config = load_config(TrainConfig, name)
    overrides = [f"input={SIZE}", "student.preset=nano", "optim.batch_size=2"]
    if config.coarse is not None:
        overrides += ["coarse.input={height_px: 64, width_px: 64}"]
    if config.teacher.kind == "depth_anything":
        teacher = f"source: {trees}/depth_anything, short_side_px: 28, licence: apache-2.0"
        overrides += [f"teacher.depth_anything={{{teacher}}}"]
    for key, one in config.data.sets().items():
        if one.render:
            overrides += [f"{key}.root={trees}/synthetic-{one.rendering.rig}"]
        else:
            overrides += [f"{key}.root={trees}/{one.kind}"]
        if one.kind == "nuscenes":
            lists = (f"{key}.train_split={trees}/train.txt", f"{key}.val_split={trees}/val.txt")
            overrides += [f"{key}.version=null", *lists]
    return dry_run(load_config(TrainConfig, name, overrides))


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_every_shipped_configuration_takes_two_steps_of_everything(name: str, trees: Path, tmp_path: Path) -> None:
    config, watcher = pointed_at(trees, name), Silent()
    result = run_training(config, tmp_path, watcher=watcher, per_pixel_mean=per_pixel_mean_m)
    assert [event for event in watcher.events if isinstance(event, str)] == ["validated 1", "validated 2"]
    losses = [event for event in watcher.events if isinstance(event, float)]
    assert len(losses) == 2
    assert min(losses) > 0.0  # there was something to learn from
    assert result.validation.headline == result.validation.headline  # not NaN: there was truth
    assert set(result.validation.abs_rel_of_sets) == set(config.data.sets())
    origin = json.loads((result.directory / "config.json").read_text())["provenance"]
    assert [len(one["tables_sha256"]) for one in origin["data"]] == [64] * len(config.data.sets())
    real = any(one.kind != "synthetic" for one in config.data.sets().values())
    assert origin["licence"]["name"] == ("CC BY-NC-SA 4.0" if real else "none")


def test_configurations_name_themselves_and_their_official_lists() -> None:
    assert len(CONFIGS) >= 9
    for name in CONFIGS:
        config = load_config(TrainConfig, name)
        assert config.name == name
        for one in config.data.sets().values():
            lists = (one.train_split, one.val_split)
            assert lists == ((None, None) if one.kind == "synthetic" else ("train", "val"))
