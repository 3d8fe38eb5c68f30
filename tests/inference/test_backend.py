from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_engine import CAMERAS, HEIGHT, SPEC, WIDTH, tiny_inputs, write_tiny_engine

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import NetworkInputs, open_backend


def test_the_opened_engine_computes_what_its_graph_says(tmp_path: Path) -> None:
    inputs = tiny_inputs()
    with open_backend(write_tiny_engine(tmp_path / "e"), threads=1) as backend:
        outputs = backend.infer(inputs)
        assert backend.spec.input_shapes()["rays"] == (CAMERAS, HEIGHT // 8, WIDTH // 8, 3)
        assert (backend.spec.min_depth_m, backend.spec.max_depth_m) == (0.5, 80.0)
        assert len(backend.spec.model_hash) == 64
    expected = 1.0 + inputs.images.astype(np.float64).mean(axis=-1) / 4.0
    np.testing.assert_allclose(outputs.depth_m, expected, rtol=1e-6)
    np.testing.assert_array_equal(outputs.confidence[0], 0.5)
    np.testing.assert_array_equal(outputs.confidence[1], 0.0)


def test_outputs_belong_to_the_caller(tmp_path: Path) -> None:
    with open_backend(write_tiny_engine(tmp_path / "e"), threads=1) as backend:
        first = backend.infer(tiny_inputs(seed=1))
        kept = first.depth_m.copy()
        backend.infer(tiny_inputs(seed=2))
    np.testing.assert_array_equal(first.depth_m, kept)


def test_a_closed_backend_says_so(tmp_path: Path) -> None:
    backend = open_backend(write_tiny_engine(tmp_path / "e"), threads=1)
    backend.close()
    backend.close()
    with pytest.raises(EngineMismatchError, match="closed"):
        backend.infer(tiny_inputs())


def test_inputs_that_are_not_contiguous_are_accepted(tmp_path: Path) -> None:
    plain = tiny_inputs()
    flipped = tiny_inputs(images=plain.images[:, :, ::-1])
    with open_backend(write_tiny_engine(tmp_path / "e"), threads=1) as backend:
        np.testing.assert_array_equal(backend.infer(flipped).depth_m, backend.infer(plain).depth_m[:, :, ::-1])


@pytest.mark.parametrize(
    "name, array, complaint",
    [
        ("images", np.zeros((2, 64, 96, 3), np.float32), "'images': expected a numpy array of uint8, got float32"),
        ("images", np.zeros((2, 3, 64, 96), np.uint8), r"expected shape \[N, H, W, 3\], got \[2, 3, 64, 96\]"),
        ("images", np.zeros((2, 60, 96, 3), np.uint8), "multiples of 8, got 60x96"),
        ("rays", np.zeros((2, 8, 12, 3)), "'rays': expected a numpy array of float32, got float64"),
        ("rays", np.zeros((2, 64, 96, 3), np.float32), r"'rays': expected shape \[2, 8, 12, 3\].*got \[2, 64, 96, 3\]"),
        ("T_ego_cam", np.zeros((2, 3, 4), np.float32), r"'T_ego_cam': expected shape \[2, 4, 4\]"),
        ("T_ego_cam", np.full((2, 4, 4), np.nan, np.float32), "'T_ego_cam': a pose holds a value that is not finite"),
        ("camera_valid", np.array([True, False]), "'camera_valid': expected a numpy array of float32, got bool"),
        ("camera_valid", np.ones(3, np.float32), r"'camera_valid': expected shape \[2\]"),
        ("camera_valid", np.array([1.0, 0.5], np.float32), "'camera_valid': expected 0.0 or 1.0"),
        ("rays", [[0.0, 0.0, 1.0]], "got list"),
    ],
)
def test_a_wrong_input_is_named(name: str, array: np.ndarray, complaint: str) -> None:
    with pytest.raises(EngineMismatchError, match=complaint):
        tiny_inputs(**{name: array})


def test_a_frame_of_another_size_is_refused_with_the_way_out() -> None:
    inputs = NetworkInputs(
        images=np.zeros((3, 32, 64, 3), np.uint8),
        rays=np.zeros((3, 4, 8, 3), np.float32),
        T_ego_cam=np.tile(np.eye(4, dtype=np.float32), (3, 1, 1)),
        camera_valid=np.ones(3, np.float32),
    )
    with pytest.raises(EngineMismatchError, match=r"built for \[2, 64, 96, 3\].*got \[3, 32, 64, 3\].*--cameras"):
        inputs.require(SPEC)


def test_the_contract_loads_no_runtime() -> None:
    probe = (
        "import sys, surround_depth.inference.backend; "
        "print([m for m in ('onnxruntime', 'torch', 'onnx', 'tensorrt', 'tensorrt_rtx', 'cuda') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
