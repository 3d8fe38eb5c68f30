"""Half precision on ordinary and extreme inputs: every output finite, depth close to float32 in metres.

With the weights that ship. The bounds are of |ln(d / d_fp32)| at the median and at the 99th percentile, and of the
largest difference in metres where the depth is below 72 m.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from extreme_inputs import Inputs, extreme_inputs
from torch import Tensor, nn

import surround_depth
from surround_depth.errors import DataError
from surround_depth.models.checkpoint import load_student
from surround_depth.models.config import BinConfig
from surround_depth.models.half import HalfStudent
from surround_depth.models.presets import student_preset
from surround_depth.models.student import Student, StudentOutput

torch.set_num_threads(1)

SHIPPED = Path(surround_depth.__file__).parent / "weights" / "nano_synthetic"
FLOAT16_BOUNDS = (0.003, 0.02, 1.5)  # most is moved on a checkerboard: 0.0022 at the median
BFLOAT16_BOUNDS = (0.01, 0.1, 8.0)  # three bits less: good for training, not for an engine
FLOAT16_MAX = 65504.0
CASES = extreme_inputs()
OUTPUTS = ("depth_m", "confidence_logit", "head_depth_m", "logits", "edges_m", "centers_m", "features")


@pytest.fixture(scope="module")
def student() -> Student:
    return load_student(SHIPPED).student


@pytest.fixture(scope="module")
def half(student: Student) -> HalfStudent:
    return HalfStudent(student)


@torch.no_grad()
def run(network: nn.Module, inputs: Inputs, autocast: torch.dtype | None = None) -> StudentOutput:
    with torch.autocast("cpu", dtype=autocast or torch.bfloat16, enabled=autocast is not None):
        output: StudentOutput = network(*inputs)
    return output


def require_close(output: StudentOutput, exact: StudentOutput, bounds: tuple[float, float, float]) -> None:
    for name in OUTPUTS:
        tensor = getattr(output, name)  # no bins without a bin head
        assert tensor is None or torch.isfinite(tensor).all(), name
    assert output.depth_m.dtype == output.confidence_logit.dtype == torch.float32
    relative = (output.depth_m / exact.depth_m).log().abs().flatten()
    assert relative.median() < bounds[0]
    assert relative.quantile(0.99) < bounds[1]
    assert (output.depth_m - exact.depth_m)[exact.depth_m < 72.0].abs().max() < bounds[2]


@pytest.mark.parametrize("case", CASES)
def test_a_half_student_is_close_to_the_full_one(student: Student, half: HalfStudent, case: str) -> None:
    output = run(half, CASES[case])
    assert output.features.dtype == torch.float16
    require_close(output, run(student, CASES[case]), FLOAT16_BOUNDS)


@pytest.mark.parametrize("case", CASES)
def test_autocast_is_close_to_float32(student: Student, case: str) -> None:
    exact = run(student, CASES[case])
    require_close(run(student, CASES[case], torch.float16), exact, FLOAT16_BOUNDS)
    require_close(run(student, CASES[case], torch.bfloat16), exact, BFLOAT16_BOUNDS)


def test_no_activation_comes_near_the_end_of_float16(student: Student) -> None:
    peaks: dict[str, float] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor):
            peaks[name] = max(peaks.get(name, 0.0), float(output.abs().max()))

    leaves = [(name, module) for name, module in student.named_modules() if not list(module.children())]
    hooks = [module.register_forward_hook(lambda m, i, o, name=name: note(name, o)) for name, module in leaves]
    for inputs in CASES.values():
        run(student, inputs)
    for hook in hooks:
        hook.remove()
    assert len(peaks) > 50
    worst = max(peaks, key=lambda name: peaks[name])
    assert peaks[worst] < FLOAT16_MAX / 16, worst


@pytest.mark.parametrize("kind", ["half", "autocast"])
def test_activations_far_above_those_of_training_stay_finite(student: Student, kind: str) -> None:
    network = HalfStudent(student) if kind == "half" else load_student(SHIPPED).student
    network.encoder.register_forward_hook(lambda module, images, maps: tuple(30.0 * m for m in maps))
    for inputs in CASES.values():
        output = run(network, inputs, torch.float16 if kind == "autocast" else None)
        for name in OUTPUTS:
            assert torch.isfinite(getattr(output, name)).all(), name
        assert output.depth_m.min() >= 0.4
        assert output.depth_m.max() <= 85.0


def test_a_dead_camera_has_exactly_no_influence_in_half(half: HalfStudent) -> None:
    images, rays, T_ego_cam, camera_valid = CASES["one_dead"]
    one = run(half, (images, rays, T_ego_cam, camera_valid))
    images, rays, T_ego_cam = images.clone(), rays.clone(), T_ego_cam.clone()
    images[:, 1] = 255 - images[:, 1]
    rays[:, 1] = torch.nan
    T_ego_cam[:, 1] = torch.nan
    two = run(half, (images, rays, T_ego_cam, camera_valid))
    for name in ("depth_m", "confidence", "centers_m"):
        assert torch.equal(getattr(one, name)[:, [0, 2]], getattr(two, name)[:, [0, 2]]), name


def test_the_student_it_is_made_of_is_not_changed(student: Student) -> None:
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    HalfStudent(student)
    assert all(torch.equal(before[name], tensor) for name, tensor in student.state_dict().items())
    assert {tensor.dtype for tensor in student.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "changes",
    [
        {"ray_affinity": True},
        {"ray_conditioning": False, "ground_prior": False},
        {"head": "regression"},
        {"upsampling": "bilinear", "canonical_focal": True},
        {"bins": BinConfig(centers="sample", n_bins=16)},
        {"bins": BinConfig(centers="image", n_bins=16)},
    ],
    ids=str,
)
def test_every_choice_has_its_half(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    full = Student(student_preset("pico").model_copy(update=changes)).eval()
    require_close(run(HalfStudent(full), CASES["usual"]), run(full, CASES["usual"]), FLOAT16_BOUNDS)


def test_a_variance_beyond_float16_is_no_obstacle_a_weight_is() -> None:
    torch.manual_seed(0)
    full = Student(student_preset("pico")).eval()
    conv, norm, _ = full.decoder.bottom
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(norm.running_var, Tensor)
    with torch.no_grad():  # the same network: larger values before the norm, and a norm that expects them
        conv.weight *= 300.0
        norm.running_var.fill_(300.0**2)
    require_close(run(HalfStudent(full), CASES["usual"]), run(full, CASES["usual"]), FLOAT16_BOUNDS)
    with torch.no_grad():
        norm.weight[0] = 1e9
    with pytest.raises(DataError, match=r"bottom\.0\.weight .* float32"):
        HalfStudent(full)
