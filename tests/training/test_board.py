"""What a run shows: the same scalars and pictures on TensorBoard and, for who asks, on a second board."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from flat_road import FakeSequence
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from surround_depth.errors import ConfigError, DataError, MissingDependencyError, SurroundDepthError
from surround_depth.imaging import InputSpec
from surround_depth.losses.build import LossReport
from surround_depth.losses.masked import Term
from surround_depth.training import logbook
from surround_depth.training.board import Boards, TensorBoard, step_scalars
from surround_depth.training.config import TrainConfig
from surround_depth.training.logbook import Logbook
from surround_depth.training.loop import StepReport
from surround_depth.training.pictures import example_pictures
from surround_depth.training.samples import SamplePreparer
from surround_depth.training.validation import Example
from surround_depth.training.wandb_board import WandbBoard
from surround_depth.viz.colors import turbo


def example() -> Example:
    sample = SamplePreparer(InputSpec(height_px=64, width_px=96), None).prepare(FakeSequence()[0])
    truth_m = np.full((3, 64, 96), np.nan, np.float32)
    truth_m[:, 32:] = 10.0
    centers_m = np.tile(np.geomspace(1.0, 60.0, 16, dtype=np.float32), (3, 1))
    share = np.tile(np.eye(16, dtype=np.float32)[8] * 0.5 + 0.5 / 16, (3, 1))
    confidence = np.full((3, 64, 96), 0.5, np.float32)
    return Example(sample, np.full((3, 64, 96), 11.0, np.float32), confidence, truth_m, centers_m, share)


def test_pictures_show_a_column_per_camera() -> None:
    pictures = example_pictures(example())
    assert list(pictures) == ["images", "depth", "truth", "error", "confidence", "bins"]
    assert {name: picture.shape[1] for name, picture in pictures.items()} == dict.fromkeys(pictures, 3 * 96)
    # 11 m where 10 m are true: a fifth of the way to 50 %; nothing where nothing is known
    assert (pictures["error"][40:, :] == turbo(np.array(0.2))).all()
    assert not (pictures["error"][24:31, 90:] == turbo(np.array(0.2))).all(axis=-1).any()
    assert (pictures["confidence"][40:] == 127).all()


def test_a_student_without_bins_has_no_picture_of_them() -> None:
    whole = example()
    bare = Example(whole.sample, whole.depth_m, whole.confidence, whole.truth_m, None, None)
    assert "bins" not in example_pictures(bare)


def report(total: float) -> StepReport:
    terms = {"silog": Term(torch.tensor(0.5), torch.tensor(7))}
    return StepReport(LossReport(torch.tensor(total), terms), lr=0.1, gradient_norm=2.0)


def test_a_resumed_board_shows_no_step_twice(tmp_path: Path) -> None:
    # killed after step 2 when only the state of step 0 was kept, then after step 3 with that of step 1
    for start, (last_step, steps) in enumerate(((0, (1, 2)), (0, (1, 2, 3)), (1, (2, 3)))):
        board = TensorBoard(tmp_path, last_step)
        for step in steps:
            board.scalars(step_scalars(report(10.0 * start + step), 0), step)
        board.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/total")] == [(1, 11.0), (2, 22.0), (3, 23.0)]
    assert [e.value for e in events.Scalars("count/silog")] == [7.0, 7.0, 7.0]


def test_weights_and_biases_gets_what_tensorboard_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[dict[str, Any]] = []
    asked: dict[str, Any] = {}
    run = SimpleNamespace(
        log=logged.append, define_metric=lambda *a, **k: None, finish=lambda: logged.append({"end": True})
    )

    def init(**options: Any) -> Any:
        asked.update(options)
        return run

    package = SimpleNamespace(init=init, Image=lambda picture: picture.shape, Error=OSError)
    monkeypatch.setitem(sys.modules, "wandb", package)
    board = Boards(
        [TensorBoard(tmp_path / "tensorboard", 0), WandbBoard("streets", tmp_path, "tiny", {"seed": 1}, goes_on=False)]
    )
    board.scalars(step_scalars(report(3.0), 2), 5)
    board.pictures({"val/depth": np.zeros((4, 6, 3), np.uint8)}, 5)
    board.close()
    assert (asked["project"], asked["name"], asked["config"], asked["resume"]) == (
        "streets",
        "tiny",
        {"seed": 1},
        "allow",
    )
    assert logged[0]["loss/total"] == 3.0
    assert logged[0]["optim/skipped_steps"] == 2.0
    assert logged[1:] == [{"val/depth": (4, 6, 3), "step": 5}, {"end": True}]
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()
    assert set(shown["scalars"]) == set(logged[0]) - {"step"}
    assert shown["images"] == ["val/depth"]


def test_only_a_resumed_run_keeps_its_name_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def init(*, id: str, **_: Any) -> Any:
        asked.append(id)
        return SimpleNamespace(define_metric=lambda *a, **k: None)

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Error=OSError))
    for goes_on in (False, True, False):
        WandbBoard("streets", tmp_path, "tiny", {}, goes_on=goes_on)
    assert asked[0] == asked[1] != asked[2]


def test_without_the_package_or_a_login_the_way_to_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingDependencyError, match="pip install wandb"):
        WandbBoard("streets", tmp_path, "tiny", {}, goes_on=False)

    class UsageError(Exception): ...

    def init(**_: Any) -> Any:
        raise UsageError("api_key not configured (no-tty).\ncall wandb.login")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Error=UsageError))
    with pytest.raises(ConfigError, match=r"--wandb streets: api_key not configured \(no-tty\)\. call wandb.login; or"):
        WandbBoard("streets", tmp_path, "tiny", {}, goes_on=False)


class Full:
    """A board on a full disk."""

    def __init__(self, *_: Any) -> None: ...

    def close(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_lets_no_board_close_hides_no_other_error(
    tiny_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "TensorBoard", Full)
    with pytest.raises(SurroundDepthError, match="the loss is not finite"), Logbook(tiny_config, tmp_path, 0, None):
        raise SurroundDepthError("the loss is not finite")
    with pytest.raises(DataError, match="takes no more at step 7"), Logbook(tiny_config, tmp_path, 7, None):
        pass


def test_every_board_is_closed(tmp_path: Path) -> None:
    closed: list[bool] = []
    other: Any = SimpleNamespace(close=lambda: closed.append(True))
    with pytest.raises(OSError, match="No space left"):
        Boards([other, Full(), other]).close()  # type: ignore[list-item]
    assert closed == [True, True]
