"""One step under all that can be asked of it: bad samples, half precision, a compiler."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from flat_road import FakeSequence

from surround_depth.errors import ConfigError, SurroundDepthError
from surround_depth.imaging import InputSpec
from surround_depth.losses.adapters import Adapters
from surround_depth.models.student import Student
from surround_depth.teachers.simulated import SimulatedTeacher
from surround_depth.training import loop as loop_module
from surround_depth.training.config import TrainConfig
from surround_depth.training.dataset import Batch, collate
from surround_depth.training.loop import Trainer
from surround_depth.training.process import start_processes
from surround_depth.training.samples import SamplePreparer, SampleStore

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def batch() -> Batch:
    store = SampleStore(
        [FakeSequence()], SamplePreparer(InputSpec(height_px=64, width_px=96), SimulatedTeacher()), cache=True
    )
    return collate([store[0], store[1], store[2]])


def with_optim(config: TrainConfig, **changes: Any) -> TrainConfig:
    return config.model_copy(update={"optim": config.optim.model_copy(update=changes)})


def start(config: TrainConfig) -> Trainer:
    torch.manual_seed(0)
    return Trainer(Student(config.student.resolve()), config, start_processes("cpu", config.optim.precision))


def test_only_the_sample_that_spoils_the_loss_is_named(tiny_config: TrainConfig, batch: Batch) -> None:
    trainer = start(tiny_config)
    rays = batch.rays.clone()
    rays[1, 2, 3, 4] = torch.nan
    before = {name: value.clone() for name, value in trainer.student.state_dict().items()}
    with pytest.raises(SurroundDepthError, match=r"the loss is not finite on sample fake-0/1 \(silog nan"):
        trainer.take_step([batch, replace(batch, rays=rays)])
    assert all(torch.equal(value, before[name]) for name, value in trainer.student.state_dict().items())
    assert trainer.step == 0
    assert trainer.take_step([batch]).loss.total.isfinite()  # and it can go on


def test_an_infinite_gradient_of_finite_losses_names_all(
    tiny_config: TrainConfig, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = start(tiny_config)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_, **__: torch.tensor(torch.inf))
    with pytest.raises(SurroundDepthError, match="the gradient is not finite on sample fake-0/0, fake-0/1, fake-0/2"):
        trainer.take_step([batch])


def test_the_report_is_the_mean_over_micro_batches(tiny_config: TrainConfig, batch: Batch) -> None:
    config = with_optim(tiny_config, settle=1.0)
    a, b = (start(config).take_step([one]).loss for one in (batch, flipped(batch)))
    both = start(config).take_step([batch, flipped(batch)]).loss
    assert float(both.total) == pytest.approx(0.5 * (float(a.total) + float(b.total)), rel=1e-6)
    assert float(both.terms["silog"].value) == pytest.approx(
        0.5 * (float(a.terms["silog"].value) + float(b.terms["silog"].value)), rel=1e-6
    )
    assert int(both.terms["silog"].count) == int(a.terms["silog"].count) + int(b.terms["silog"].count)


def flipped(batch: Batch) -> Batch:
    return replace(batch, images=255 - batch.images)


def test_bfloat16_features_leave_losses_and_weights_in_float32(tiny_config: TrainConfig, batch: Batch) -> None:
    trainers = {precision: start(with_optim(tiny_config, precision=precision)) for precision in ("fp32", "bf16")}
    losses = {}
    for precision, trainer in trainers.items():
        loss = trainer._loss(batch, 1.0, trainer._shared)
        assert loss.total.dtype == torch.float32, precision
        losses[precision] = float(loss.total.detach())
        assert torch.isfinite(trainer.take_step([batch]).loss.total)
        assert {p.dtype for p in trainer.student.parameters()} == {torch.float32}
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)


BESIDE = {
    "fitnets": 0.1,
    "bins_from": "head",
    "cross_context": {"weight": 0.5, "local_global": 0.0},
    "privileged": {"attention": 0.5, "response": 0.5},
}


def start_beside(config: TrainConfig, batch: Batch) -> tuple[Trainer, Batch]:
    """Return a trainer whose losses learn something of every kind beside the student, and a batch with features."""
    tree = config.model_dump() | {"loss": BESIDE, "teacher": {"kind": "student"}}
    config = TrainConfig.model_validate(tree)
    torch.manual_seed(0)
    student = Student(config.student.resolve())
    channels = student.config.decoder_channels[2]
    n_bins = student.config.bins.n_bins
    adapters = Adapters(config.loss, student_channels=channels, teacher_channels=7, n_bins=n_bins)
    B, N = batch.images.shape[:2]
    featured = replace(batch, features=torch.randn(B, N, 7, 6, 9).half())
    return Trainer(student, config, start_processes("cpu", config.optim.precision), adapters), featured


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_learns_beside_the_student_learns_in_float32_whatever_the_features(
    precision: str, tiny_config: TrainConfig, batch: Batch
) -> None:
    trainer, batch = start_beside(with_optim(tiny_config, precision=precision), batch)
    assert trainer.adapters is not None
    before = {name: value.clone() for name, value in trainer.adapters.named_parameters()}
    for _ in range(3):  # at the first, terms of the teacher weigh nothing; gates that start at zero pass nothing on
        assert torch.isfinite(trainer.take_step([batch]).loss.total)
    still = [name for name, value in trainer.adapters.named_parameters() if torch.equal(value, before[name])]
    assert still == []
    assert {value.dtype for value in trainer.adapters.parameters()} == {torch.float32}


def test_gradients_beside_the_student_are_those_of_all_processes(
    tiny_config: TrainConfig, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, _ = start_beside(tiny_config, batch)
    for parameter in trainer._beside[1:]:
        parameter.grad = torch.ones_like(parameter)
    monkeypatch.setattr(trainer.processes, "count", 2)
    monkeypatch.setattr(trainer.processes, "mean", lambda values: 0.5 * values)  # the other process had none
    trainer._share_gradients_beside()
    assert trainer._beside[0].grad is not None
    assert (trainer._beside[0].grad == 0).all()  # a process without pixels for a term takes part all the same
    assert all(p.grad is not None and (p.grad == 0.5).all() for p in trainer._beside[1:])


def test_a_step_that_overflows_in_float16_is_skipped_and_counted(tiny_config: TrainConfig, batch: Batch) -> None:
    torch.manual_seed(0)
    processes = start_processes("cpu", "fp32")  # the scaler alone: the CPU has no float16 training
    scaler = torch.amp.GradScaler("cpu", init_scale=3.0e38)
    processes.accelerator.scaler = scaler
    trainer = Trainer(Student(tiny_config.student.resolve()), with_optim(tiny_config, clip_norm=1e9), processes)
    before = {name: value.clone() for name, value in trainer.student.named_parameters()}
    report = trainer.take_step([batch])
    assert report.skipped
    assert (trainer.step, trainer.n_skipped) == (1, 1)
    assert scaler.get_scale() == pytest.approx(1.5e38)
    assert all(torch.equal(value, before[name]) for name, value in trainer.student.named_parameters())


def test_float16_needs_a_gpu() -> None:
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        start_processes("cpu", "fp16")


def test_a_compiled_student_keeps_its_names_and_its_values(
    tiny_config: TrainConfig, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        compiled.append(graph.__class__.__name__)
        return graph.forward

    monkeypatch.setattr(loop_module, "COMPILE_BACKEND", backend)
    plain, other = start(tiny_config), start(with_optim(tiny_config, compile=True))
    assert list(other.student.state_dict()) == list(plain.student.state_dict())
    expected = float(plain.take_step([batch]).loss.total)
    assert float(other.take_step([batch]).loss.total) == pytest.approx(expected, rel=1e-5)
    assert compiled
