"""The loop, on a drive without files: it learns, repeats, stops on NaN, and leaves a checkpoint with its origin."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from surround_depth.config import parse_config
from surround_depth.errors import ConfigError, DataError, SurroundDepthError
from surround_depth.imaging import InputSpec
from surround_depth.losses.build import training_loss
from surround_depth.models.checkpoint import CheckpointConfig, load_student, save_student
from surround_depth.models.config import BinConfig
from surround_depth.models.student import Student
from surround_depth.teachers.simulated import SimulatedTeacher
from surround_depth.training import run as run_module
from surround_depth.training.config import OptimConfig, TrainConfig
from surround_depth.training.dataset import Batch, DrawnSamples, collate, training_batches
from surround_depth.training.drives import Drives, DriveSet
from surround_depth.training.loop import Trainer
from surround_depth.training.process import start_processes
from surround_depth.training.samples import SamplePreparer, SampleStore
from surround_depth.training.schedule import learning_rate_factor
from surround_depth.training.targets import make_targets

torch.set_num_threads(1)
ALONE = start_processes("cpu", "fp32")


class FakeDataset:
    name, licence = "fake", "none"

    def __init__(self, sequence: Any) -> None:
        self._sequence = sequence

    def scenes(self) -> tuple[str, ...]:
        return ("a", "b")

    def sequence(self, scene: str) -> Any:
        return replace(self._sequence, name=scene)


class Silent:
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.validations: list[int] = []
        self.notices: list[str] = []

    def on_step(self, step: int, report: Any) -> None:
        self.losses.append(float(report.loss.total.detach()))

    def on_validation(self, step: int, validation: Any) -> None:
        self.validations.append(step)

    def on_notice(self, text: str) -> None:
        self.notices.append(text)


@pytest.fixture
def store(fake_sequence: Any) -> SampleStore:
    preparer = SamplePreparer(InputSpec(height_px=64, width_px=96), SimulatedTeacher())
    return SampleStore([fake_sequence], preparer, cache=True)


def mean_map(maps: Any) -> np.ndarray:
    return np.full_like(next(iter(maps)), 10.0)


def run(
    config: TrainConfig, sequence: Any, out: Path, monkeypatch: pytest.MonkeyPatch, init: Path | None = None
) -> Silent:
    data = FakeDataset(sequence)
    one = DriveSet("data", config.data, data, data, (data.sequence("a"),), (data.sequence("b"),))
    monkeypatch.setattr(run_module, "open_drives", lambda _: Drives((one,)))
    watcher = Silent()
    run_module.run_training(config, out, watcher=watcher, per_pixel_mean=mean_map, init=init)
    return watcher


def test_a_run_leaves_a_checkpoint_with_its_origin_and_repeats_to_the_bit(
    tiny_config: TrainConfig, fake_sequence: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tiny_config, fake_sequence, tmp_path / "one", monkeypatch)
    again = run(tiny_config, fake_sequence, tmp_path / "two", monkeypatch)
    assert first.validations == [2, 4]
    assert first.losses == again.losses
    checkpoint = load_student(tmp_path / "one" / "student")
    assert checkpoint.config.input.width_px == 96
    provenance = checkpoint.config.provenance
    assert {split: list(names) for split, names in provenance["scenes"].items()} == {"train": ["a"], "val": ["b"]}
    assert [entry["kind"] for entry in provenance["lineage"]] == ["data", "teacher", "initialisation"]
    card = (tmp_path / "one" / "student" / "README.md").read_text()
    assert "steps: 4 of 4" in card
    assert "training mean" in card
    assert len(json.loads((tmp_path / "one" / "metrics.json").read_text())) == 2
    assert list((tmp_path / "one" / "tensorboard").iterdir())
    # and it can be started from
    run(tiny_config, fake_sequence, tmp_path / "three", monkeypatch, init=tmp_path / "one" / "student")
    lineage = load_student(tmp_path / "three" / "student").config.provenance["lineage"]
    assert [entry["kind"] for entry in lineage[3:]] == ["parent's data", "parent's teacher", "parent's initialisation"]
    weights = (tmp_path / "one" / "student" / "model.safetensors").read_bytes()
    assert lineage[2]["weights_sha256"] == hashlib.sha256(weights).hexdigest()


def test_weights_that_saw_pixels_of_other_statistics_are_refused(tiny_config: TrainConfig, tmp_path: Path) -> None:
    """They fit by name and shape, and would see another picture."""
    student = Student(tiny_config.student.resolve())
    save_student(tmp_path, student, CheckpointConfig(student=student.config, input=tiny_config.input))
    stored = json.loads((tmp_path / "config.json").read_text())
    stored["student"]["encoder"]["backbone"]["image_mean"] = [0.4, 0.4, 0.4]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(
        ConfigError, match=rf"pixels of mean \[0\.4, 0\.4, 0\.4\].*student\.encoder of {tmp_path}/config\.json"
    ):
        run_module._start_student(tiny_config, tmp_path)
    # and what the message says is the way
    own = tiny_config.student.model_copy(update={"encoder": load_student(tmp_path).config.student.encoder})
    run_module._start_student(tiny_config.model_copy(update={"student": own}), tmp_path)


def test_overfitting_two_samples_lowers_the_loss(tiny_config: TrainConfig, store: SampleStore) -> None:
    torch.manual_seed(0)
    optim = tiny_config.optim.model_copy(update={"steps": 25, "lr": 3e-3})
    trainer = Trainer(Student(tiny_config.student.resolve()), tiny_config.model_copy(update={"optim": optim}), ALONE)
    batch = collate([store[0], store[1]])
    values = [float(trainer.take_step([batch]).loss.terms["silog"].value.detach()) for _ in range(25)]
    assert np.mean(values[-5:]) < 0.5 * values[0]


def test_a_nan_loss_stops_with_the_sample_named_and_the_weights_untouched(
    tiny_config: TrainConfig, store: SampleStore
) -> None:
    trainer = Trainer(Student(tiny_config.student.resolve()), tiny_config, ALONE)
    good = collate([store[1]])
    spoilt = replace(good, rays=torch.full_like(good.rays, torch.nan))
    before = {k: v.clone() for k, v in trainer.student.state_dict().items()}
    with pytest.raises(SurroundDepthError, match="fake-0/1"):
        trainer.take_step([spoilt])
    assert all(torch.equal(v, before[k]) for k, v in trainer.student.state_dict().items())  # norm statistics too


def test_accumulated_gradients_are_the_mean_of_the_micro_batches(tiny_config: TrainConfig, store: SampleStore) -> None:
    trainer = Trainer(Student(tiny_config.student.resolve()).eval(), tiny_config, ALONE)
    trainer.student.eval()  # batch norm must not tie the halves together
    a, b = collate([store[0]]), collate([store[1]])
    gradients = []
    for batches in ([a], [b], [a, b]):
        trainer.student.zero_grad()
        for batch in batches:
            (trainer._loss(batch, 1.0, trainer.student).total / len(batches)).backward()
        head = trainer.student.head.weight.grad
        assert head is not None
        gradients.append(head.clone())
    assert torch.allclose(gradients[2], 0.5 * (gradients[0] + gradients[1]), atol=1e-5)


def test_draws_are_the_same_wherever_a_run_starts(store: SampleStore, tiny_config: TrainConfig) -> None:
    drawn = DrawnSamples(store, tiny_config.augment, seed=3)

    def batches(first: int, n: int, workers: int = 0) -> list[Batch]:
        return list(training_batches(drawn, first_draw=first, n_draws=n, batch_size=2, n_workers=workers))

    whole, tail = batches(0, 8), batches(4, 4)
    assert [b.sample_ids for b in whole[2:]] == [b.sample_ids for b in tail]
    assert all(torch.equal(a.images, b.images) for a, b in zip(whole[2:], tail, strict=True))
    epoch = [name for b in batches(0, 6) for name in b.sample_ids]
    assert sorted(epoch[:3]) == sorted(epoch[3:]) == ["fake-0/0", "fake-0/1", "fake-0/2"]


def test_targets_respect_range_own_body_and_dead_cameras(store: SampleStore, tiny_config: TrainConfig) -> None:
    batch = collate([store[0]])
    dead = replace(batch, camera_valid=torch.tensor([[1.0, 0.0, 1.0]]))
    targets = make_targets(dead, tiny_config.student.bins)
    for mask in (targets.lidar_mask, targets.sky, targets.teacher_mask):
        assert not mask[:, 1].any()
        assert not (mask & batch.own_body).any()
        assert mask[:, 0].any()
    assert (batch.lidar_m[targets.lidar_mask] > 0.5).all()
    truth_m = torch.from_numpy(store.truths_m(0)["dense"])[None]
    mask = make_targets(batch, tiny_config.student.bins).teacher_mask
    ratio = make_targets(batch, tiny_config.student.bins).teacher_m[mask] / truth_m[mask]
    assert (ratio.log().abs().median()) < 0.06  # the teacher, aligned, is right to its own noise


def test_teacher_that_cannot_be_aligned_leaves_the_student_to_lidar(
    store: SampleStore, tiny_config: TrainConfig
) -> None:
    batch = collate([store[0]])
    flat = replace(batch, relative=torch.ones_like(batch.relative))
    student = Student(tiny_config.student.resolve())
    targets = make_targets(flat, student.config.bins)
    assert not targets.teacher_mask.any()
    output = student(flat.images, flat.rays, flat.T_ego_cam, flat.camera_valid)
    report = training_loss(output, targets, tiny_config.loss, bins=BinConfig(), progress=1.0)
    report.total.backward()
    assert report.terms["kl"].count.item() == 0
    assert torch.isfinite(report.total)


def test_one_cycle_climbs_and_falls() -> None:
    optim = OptimConfig(warmup=0.2)
    values = [learning_rate_factor(optim, p) for p in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert values == pytest.approx([0.04, 0.52, 1.0, 0.5005, 0.001])


def test_cosine_starts_and_ends_at_nothing() -> None:
    optim = OptimConfig(schedule="cosine", warmup=0.2)
    values = [learning_rate_factor(optim, p) for p in (0.0, 0.05, 0.2, 0.4, 0.6, 1.0)]
    assert values == pytest.approx([0.0, 0.25, 1.0, 0.5 + 0.125**0.5, 0.5, 0.0], abs=1e-12)
    assert learning_rate_factor(optim.model_copy(update={"warmup": 0.0}), 0.0) == 1.0


def test_starting_weights_of_another_student_are_refused(tiny_config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="checkpoint directory"):
        run_module._start_student(tiny_config, tmp_path)


def test_losses_on_fixed_centers_are_refused(tiny_config: TrainConfig) -> None:
    tree = tiny_config.model_dump(mode="json") | {"loss": {"chamfer": 0.1}}
    with pytest.raises(ConfigError, match=r"loss\.chamfer move.*student\.bins\.centers"):
        parse_config(TrainConfig, tree, "test")
    tree["student"]["bins"]["centers"] = "sample"
    assert parse_config(TrainConfig, tree, "test").loss.chamfer == 0.1


def test_an_absent_gpu_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="--device cpu"):
        start_processes("cuda", "fp32")
