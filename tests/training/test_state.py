"""States on disk: what is kept, what is passed over, and what a resumed run is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flat_road import FakeSequence

from surround_depth.errors import ConfigError, DataError
from surround_depth.training import run as run_module
from surround_depth.training import state as state_module
from surround_depth.training.config import TrainConfig
from surround_depth.training.curve import LossCurve
from surround_depth.training.drives import Drives, DriveSet
from surround_depth.training.folder import alone_in, require_startable
from surround_depth.training.loop import StepReport
from surround_depth.training.resume import config_differences
from surround_depth.training.rng import rng_states, seed_generators, set_rng_states
from surround_depth.training.state import newest_state, read_state, save_state, stored_steps

torch.set_num_threads(1)
TENSORS = {"student": {"weight": torch.arange(3.0)}, "rng": {"0.torch": torch.arange(4, dtype=torch.uint8)}}


class Notes:
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.steps: list[int] = []

    def on_step(self, step: int, report: StepReport) -> None:
        self.steps.append(step)

    def on_validation(self, step: int, validation: Any) -> None: ...

    def on_notice(self, text: str) -> None:
        self.notices.append(text)


Train = Callable[..., Notes]


@pytest.fixture
def train(tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Run the tiny configuration, with changes, into one folder."""

    def start(resume: bool = False, n_samples: int = 3, **changes: Any) -> Notes:
        tree = tiny_config.model_dump()
        for dotted, value in changes.items():
            group, key = dotted.split("__")
            tree[group][key] = value
        config = TrainConfig.model_validate(tree)
        sequences = [replace(FakeSequence(), name=name, n_samples=n_samples) for name in ("a", "b")]
        data: Any = type("Data", (), {"name": "fake", "licence": "none"})()
        one = DriveSet("data", config.data, data, data, (sequences[0],), (sequences[1],))
        monkeypatch.setattr(run_module, "open_drives", lambda _: Drives((one,)))
        notes = Notes()
        mean = lambda maps: np.full_like(next(iter(maps)), 10.0)  # noqa: E731
        run_module.run_training(config, tmp_path / "out", watcher=notes, per_pixel_mean=mean, resume=resume)
        return notes

    return start


def test_the_newest_states_stay_and_are_whole(tmp_path: Path) -> None:
    for step in (0, 4, 8):
        save_state(tmp_path, step, TENSORS, {"loss": float("nan"), "step": step}, keep=2)
    assert stored_steps(tmp_path) == [4, 8]
    state = newest_state(tmp_path, pytest.fail)
    assert (state.step, state.facts) == (8, {"loss": None, "step": 8})
    assert torch.equal(state.tensors["student"]["weight"], torch.tensor([0.0, 1.0, 2.0]))


@pytest.mark.parametrize("damage", ["flipped bit", "torn", "missing", "not JSON", "format"])
def test_a_damaged_state_is_passed_over_and_told(tmp_path: Path, damage: str) -> None:
    for step in (4, 8):
        save_state(tmp_path, step, TENSORS, {}, keep=2)
    weights, facts = (tmp_path / "step-00000008" / name for name in ("student.safetensors", "state.json"))
    data = weights.read_bytes()
    match damage:
        case "flipped bit":
            weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "torn":
            weights.write_bytes(data[:-1])
        case "missing":
            weights.unlink()
        case "not JSON":
            facts.write_text(facts.read_text()[:-20])
        case "format":
            facts.write_text(json.dumps(json.loads(facts.read_text()) | {"format_version": 99}))
    notices: list[str] = []
    assert newest_state(tmp_path, notices.append).step == 4
    assert len(notices) == 1
    assert "step-00000008 is" in notices[0]
    save_state(tmp_path, 6, TENSORS, {}, keep=1)  # the run that went on from 4: its own state outlives the damaged one
    assert stored_steps(tmp_path) == [6]


def test_no_whole_state_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "step-00000003").mkdir(parents=True)
    with pytest.raises(DataError, match="no whole state"):
        newest_state(tmp_path, lambda _: None)


def test_a_state_that_cannot_be_written_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path, 4, TENSORS, {}, keep=1)

    def no_space(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module.Path, "write_bytes", no_space)
    with pytest.raises(OSError, match="No space left"):
        save_state(tmp_path, 8, TENSORS, {}, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000004"]
    assert read_state(tmp_path, 4).step == 4


def test_generators_go_on_where_they_were() -> None:
    seed_generators(3)
    random.gauss(0.0, 1.0)  # keeps a second number for the next call
    np.random.randn()  # noqa: NPY002  # as does this
    states = rng_states()

    def drawn() -> tuple[float, ...]:
        return random.gauss(0.0, 1.0), random.random(), np.random.randn(), torch.rand(()).item()  # noqa: NPY002

    first = drawn()
    assert drawn() != first
    set_rng_states(states)
    assert drawn() == first


def test_a_resumed_run_repeats_nothing_and_skips_nothing(train: Train, tmp_path: Path) -> None:
    train()
    out = tmp_path / "out"
    names = (
        "loss_curve.jsonl",
        "metrics.json",
        "student/model.safetensors",
        "state/step-00000004/optimizer.safetensors",
    )
    undisturbed = {name: (out / name).read_bytes() for name in names}
    # killed while the state of step 4 was damaged: goes on from 2, and the curve has no line twice
    (out / "state" / "step-00000004" / "average.safetensors").write_bytes(b"")
    with (out / "loss_curve.jsonl").open("a") as curve:
        curve.write('{"step": 5, "to')
    (out / ".student.k2j9" / "old").mkdir(parents=True)
    for left in (".metrics.json.0f.tmp", "state/.step-00000006.x1"):
        (out / left).touch()
    notes = train(resume=True)
    assert notes.steps == [3, 4]
    assert "step-00000004 is damaged" in notes.notices[0]
    assert notes.notices[1] == "going on after step 2"
    assert {name: (out / name).read_bytes() for name in names} == undisturbed
    assert (
        notes.notices[2] == "nano at 64x96, 1 x cpu, fp32, seed 0; data: 3 samples of 1 drives train, 3 of b validate"
    )
    # a finished run has nothing to do but to write its student again
    (out / "student" / "model.safetensors").unlink()
    again = train(resume=True)
    assert again.steps == []
    assert again.notices[0] == "the run was finished after step 4; it is validated and exported once more"
    assert {name: (out / name).read_bytes() for name in names} == undisturbed
    origin = json.loads((out / "student" / "config.json").read_text())["provenance"]
    assert [entry["step"] for entry in origin["resumed"]] == [2, 4]
    assert not list(out.rglob(".*"))  # of what the kill left half written


def test_states_are_neither_overwritten_nor_mixed_with_another_run(
    train: Train, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="holds no state of a run"):
        train(resume=True)
    train()
    with pytest.raises(ConfigError, match="newest of step 4; go on with --resume, or choose another --out"):
        train()
    with pytest.raises(ConfigError, match=r"optim\.lr was 0\.001, is 0\.002; optim\.steps was 4, is 8; go on with"):
        train(resume=True, optim__lr=0.002, optim__steps=8)
    with pytest.raises(DataError, match="data changed since the run began"):
        train(resume=True, n_samples=2)
    train(resume=True, watch__keep_states=1, data__cache=False)
    # and it is known before a street is rendered or a sample read
    other = tiny_config.model_copy(update={"seed": 7})
    with pytest.raises(ConfigError, match=r"seed was 0, is 7; .*leave --config and --set away"):
        require_startable(other, tmp_path / "out", resume=True)
    with pytest.raises(ConfigError, match="go on with --resume"):
        require_startable(tiny_config, tmp_path / "out", resume=False)
    require_startable(tiny_config, tmp_path / "out", resume=True)
    require_startable(other, tmp_path / "new", resume=False)
    facts = tmp_path / "out" / "state" / "step-00000004" / "state.json"
    tree = json.loads(facts.read_text())
    tree["facts"]["n_processes"] = 8
    facts.write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match=r"the run has 8 process\(es\) and this start 1"):
        train(resume=True)


def test_what_may_differ_is_what_changes_no_weight() -> None:
    joint = [{"root": "c", "kind": "ddad"}]
    before = {
        "seed": 0,
        "watch": {"log_every": 1},
        "data": {"n_workers": 0, "cache": True, "root": "a", "joint": joint},
    }
    moved = [{"root": "d", "kind": "nuscenes"}]
    data = {"n_workers": 4, "cache": False, "root": "b", "new": 1, "joint": moved}
    now = {"seed": 1, "watch": {"log_every": 2}, "data": data}
    assert config_differences(before, before) == []
    assert config_differences(before, now) == [
        "data.joint.0.kind was ddad, is nuscenes",
        "data.new was absent, is 1",
        "seed was 0, is 1",
    ]


def test_the_curve_is_cut_where_the_state_ends(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n{"step": 3}\n\xff\x00{"st')
    place = path.stat().st_ino
    with LossCurve(path, 2):
        assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    assert path.stat().st_ino == place  # what stays is not written again: a power cut cannot take it
    with LossCurve(path, 0):
        assert path.read_text() == ""


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with alone_in(tmp_path / "out"):
        with pytest.raises(ConfigError, match="another run is at work there"), alone_in(tmp_path / "out"):
            pass
        with alone_in(tmp_path / "other"):
            pass
    with alone_in(tmp_path / "out"):  # it ends with its run
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"), alone_in(tmp_path / "file" / "out"):
        pass


def test_a_second_start_touches_nothing_of_a_run_at_work(tiny_config: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with alone_in(out):
        half_written = out / "state" / ".step-00000004.abc"
        half_written.mkdir(parents=True)
        (out / "state" / "step-00000002").mkdir()
        before = sorted(out.rglob("*"))
        with pytest.raises(ConfigError, match="another run is at work there"):
            require_startable(tiny_config, out, resume=True)
        assert sorted(out.rglob("*")) == before


def test_another_teacher_is_no_way_on(train: Train, tmp_path: Path) -> None:
    train()
    facts = tmp_path / "out" / "state" / "step-00000004" / "state.json"
    tree = json.loads(facts.read_text())
    assert tree["facts"]["origin"]["teacher_sha256"]
    tree["facts"]["origin"]["teacher_sha256"] = "other weights"
    facts.write_text(json.dumps(tree))
    with pytest.raises(DataError, match="the teacher changed since the run began"):
        train(resume=True)


def test_a_run_that_never_took_a_step_blocks_nobody(train: Train, tmp_path: Path) -> None:
    save_state(tmp_path / "out" / "state", 0, TENSORS, {}, keep=1)
    assert train(optim__lr=2e-3).steps == [1, 2, 3, 4]
