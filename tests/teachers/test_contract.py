"""What every kind of teacher owes: shapes, large = near, nothing of dead cameras, the same label again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from no_student import no_student
from tiny_depth_models import GreyIsDepth, save_depth_anything

from surround_depth.config import parse_config
from surround_depth.teachers.build import TeacherConfig, build_teacher
from surround_depth.teachers.teacher import Teacher, TeacherInput

N, H, W = 3, 28, 42
FAR_M = 51.0

_SIMULATED = {"kind": "simulated", "simulated": {"noise": 0.0}}


def depth_anything(output: str, **options: Any) -> dict[str, Any]:
    return {"kind": "depth_anything", "depth_anything": {"source": "SOURCE", "output": output, **options}}


# configuration, what the model puts out of depth in metres, another configuration whose labels differ
KINDS: dict[str, tuple[dict[str, Any], Callable[[torch.Tensor], torch.Tensor], dict[str, Any]]] = {
    "simulated": (_SIMULATED, torch.clone, {"kind": "simulated", "simulated": {"seed": 1}}),
    "inverse": (depth_anything("auto"), lambda depth_m: 7.0 / depth_m + 3.0, depth_anything("auto", short_side_px=56)),
    "depth": (depth_anything("depth"), lambda depth_m: 0.1 * depth_m, depth_anything("depth", sky_fraction=0.1)),
    "metric": (depth_anything("metric"), torch.clone, depth_anything("metric", canonical_focal_px=300.0)),
    "assistant": (
        {"kind": "assistant", "assistant": {"primary": _SIMULATED, "assistant": depth_anything("auto")}},
        lambda depth_m: 1.0 / depth_m,
        {"kind": "assistant", "assistant": {"primary": _SIMULATED, "assistant": depth_anything("auto"), "seed": 1}},
    ),
}


def sample(sample_id: str = "frame-1") -> TeacherInput:
    """Return pictures of a wall that recedes from 5 m to 51 m; its grey is its depth."""
    depth_m = np.broadcast_to(np.linspace(5.0, FAR_M, W), (N, H, W)).astype(np.float32)
    images = np.repeat((5.0 * depth_m).round().astype(np.uint8)[..., None], 3, axis=-1)
    alive = np.array([True, True, False])
    no_sky = np.zeros(depth_m.shape, bool)
    focal_px = np.full(N, 300.0, np.float32)
    return TeacherInput(
        sample_id, ("A", "B", "C"), images, alive, focal_px=focal_px, truth_depth_m=depth_m, truth_sky=no_sky
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_depth_anything(folder)
    return folder


def placed(tree: Any, source: Path) -> Any:
    if isinstance(tree, dict):
        return {key: placed(value, source) for key, value in tree.items()}
    return str(source) if tree == "SOURCE" else tree


def built(tree: dict[str, Any], source: Path) -> Teacher:
    teacher = build_teacher(parse_config(TeacherConfig, placed(tree, source), "test"), no_student)
    assert teacher is not None
    return teacher


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, source: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Teacher, Teacher]:
    """A teacher whose model sees the true depth, and another of other settings."""
    tree, encode, other = KINDS[request.param]
    model = GreyIsDepth(lambda grey: encode(51.0 * grey))
    monkeypatch.setattr("surround_depth.teachers.pretrained_depth.DepthModelFiles.load", lambda _: model)
    return built(tree, source), built(other, source)


def test_contract(kind: tuple[Teacher, Teacher]) -> None:
    teacher, other = kind
    for given in (sample("frame-1"), sample("frame-2"), sample("frame-3"), sample("frame-4")):
        label = teacher(given)
        assert label.inverse_depth.shape == label.valid.shape == label.sky.shape == (N, H, W)
        assert (label.inverse_depth.dtype, label.valid.dtype) == (np.float32, bool)
        assert label.valid[:2].all()
        assert not label.valid[2].any()
        assert not label.sky.any()
        assert np.isfinite(label.inverse_depth).all()
        for r in label.inverse_depth[:2]:
            assert np.corrcoef(r.mean(0), 1.0 / np.linspace(5.0, FAR_M, W))[0, 1] > 0.98  # large = near
        again = teacher(given)
        assert np.array_equal(label.inverse_depth, again.inverse_depth)
        assert np.array_equal(label.valid, again.valid)
        # a camera's label is of this camera alone
        alone = teacher(replace(given, camera_valid=np.array([False, True, False])))
        assert np.allclose(alone.inverse_depth[1], label.inverse_depth[1], rtol=1e-5)
        if teacher.metric:
            assert np.allclose(
                1.0 / label.inverse_depth[:2], np.linspace(5.0, FAR_M, W), atol=0.11
            )  # half a grey level
    nobody = teacher(replace(sample(), camera_valid=np.zeros(N, bool)))
    assert not nobody.valid.any()
    assert (len(teacher.fingerprint), teacher.fingerprint == other.fingerprint) == (64, False)
    assert teacher.name
    assert teacher.licence


def test_a_learned_teacher_is_frozen_and_builds_no_graph(source: Path) -> None:
    teacher: Any = built(depth_anything("auto"), source)
    teacher(sample())
    model = teacher._model
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = teacher(sample()), teacher(sample())
    assert np.array_equal(first.inverse_depth, second.inverse_depth)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
