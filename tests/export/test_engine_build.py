"""From a real checkpoint to engines: built, opened, proven, benchmarked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from box_tree import rendered
from box_world import BoxDrive
from whole_trees import write_nuscenes

from surround_depth.errors import ConfigError, DataError, EngineMismatchError
from surround_depth.export.benchmark import markdown_table, measure_engine
from surround_depth.export.checkpoint import open_checkpoint
from surround_depth.export.engine_build import BuildRequest, build_engine
from surround_depth.export.frames import DriveSource, proof_frames, random_frames
from surround_depth.export.graph_names import module_path
from surround_depth.export.parity import PARITY_BOUNDS, ParityBound
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import NetworkInputs, open_backend
from surround_depth.inference.manifest import load_manifest

FILES = ["model.json", "model.onnx", "parity.md"]


def test_the_engine_folder_is_whole_and_tells_its_origin(engine: Path, checkpoint: Path) -> None:
    manifest = load_manifest(engine)
    assert sorted(path.name for path in engine.iterdir()) == FILES
    for name, recorded in (
        ("model.safetensors", manifest.checkpoint.weights_sha256),
        ("config.json", manifest.checkpoint.config_sha256),
    ):
        assert recorded == hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()
    assert manifest.licences == (
        "data streets: CC BY-NC-SA 4.0",
        "teacher simulated: none (synthetic)",
        "initialisation random: none",
    )
    assert manifest.build_command == "the test's fixture"
    assert (manifest.n_cameras, manifest.input) == (2, InputSpec(height_px=64, width_px=96))
    assert manifest.versions["onnxruntime"]
    assert manifest.parity.frames == "structured random images"
    assert manifest.parity.p99_relative < 1e-4
    assert "structured random images" in (engine / "parity.md").read_text()


def test_the_graph_is_one_file_without_paths_of_this_machine(engine: Path) -> None:
    content = (engine / "model.onnx").read_bytes()
    model = onnx.load_from_string(content)
    assert model.opset_import[0].version == 18
    assert str(Path.cwd()).encode() not in content
    assert b"stack_trace" not in content
    modules = {module_path(node) for node in model.graph.node}
    assert any("encoder" in module for module in modules)
    assert [node.op_type for node in model.graph.node if "images" in node.input] == ["Cast"]


def test_torch_and_the_engine_agree_on_frames_with_a_dead_camera(engine: Path, checkpoint: Path) -> None:
    with open_backend(engine, threads=1) as backend, open_checkpoint(checkpoint, n_cameras=2) as torch_backend:
        frames = random_frames(backend.spec, 2, seed=7).network_inputs(backend.spec.input)
        assert frames[1].camera_valid.min() == 0.0
        for inputs in frames:
            living = inputs.camera_valid > 0.5
            ours, reference = backend.infer(inputs), torch_backend.infer(inputs)
            np.testing.assert_allclose(ours.depth_m[living], reference.depth_m[living], rtol=1e-4)
            np.testing.assert_allclose(ours.confidence[living], reference.confidence[living], atol=1e-5)


def test_a_dead_camera_has_exactly_no_influence_in_the_engine(engine: Path) -> None:
    with open_backend(engine, threads=1) as backend:
        inputs = random_frames(backend.spec, 2, seed=3).network_inputs(backend.spec.input)[1]
        dead = inputs.camera_valid < 0.5
        images = inputs.images.copy()
        images[dead] = 255 - images[dead]
        other = NetworkInputs(images, inputs.rays, inputs.T_ego_cam, inputs.camera_valid)
        one, two = backend.infer(inputs), backend.infer(other)
    np.testing.assert_array_equal(one.depth_m[~dead], two.depth_m[~dead])
    np.testing.assert_array_equal(one.confidence[~dead], two.confidence[~dead])


def test_the_same_checkpoint_gives_the_same_graph(engine: Path, checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")
    said: list[str] = []
    out = tmp_path / "rtx"
    request = BuildRequest(checkpoint, out, engine="tensorrt_rtx", n_cameras=2, n_parity_frames=1)
    manifest = build_engine(request, report=said.append)
    assert manifest.onnx.sha256 == load_manifest(engine).onnx.sha256
    assert manifest.plan is not None
    assert manifest.engine_file.name == "model.plan"
    assert sorted(p.name for p in out.iterdir()) == ["build.log", "layers.json", *FILES[:2], "model.plan", "parity.md"]
    if "no GPU" in "".join(said):
        with pytest.raises(EngineMismatchError, match="runs on an NVIDIA GPU"):
            open_backend(out)


@pytest.mark.slow
def test_an_int8_engine_says_so_and_what_its_ranges_are_of(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install openvino")
    said: list[str] = []
    out = tmp_path / "int8"
    request = BuildRequest(checkpoint, out, engine="openvino", precision="int8", n_cameras=2, n_parity_frames=1)
    manifest = build_engine(request, report=said.append)
    assert (manifest.engine, manifest.precision) == ("openvino", "int8")
    assert manifest.calibration == "16 structured random images"
    assert manifest.parity.candidate == "openvino int8"
    assert "int8 off 16 frames" in "".join(said)
    assert "costs in accuracy is not known; --calibration DRIVE" in "".join(said)
    assert sorted(path.name for path in out.iterdir()) == FILES
    types = {tensor.data_type for tensor in onnx.load(out / "model.onnx").graph.initializer}
    assert onnx.TensorProto.INT8 in types
    with open_backend(out, threads=1) as backend:
        inputs = random_frames(backend.spec, 1).network_inputs(backend.spec.input)[0]
        assert np.isfinite(backend.infer(inputs).depth_m).all()


@pytest.mark.slow
def test_the_drive_of_the_ranges_also_proves_them(checkpoint: Path, tmp_path: Path) -> None:
    """Random images have no truth, so what int8 costs in accuracy would go unproven."""
    drive = BoxDrive(n_samples=2)
    write_nuscenes(tmp_path / "tree", [rendered(drive)])
    request = BuildRequest(
        checkpoint,
        tmp_path / "int8",
        precision="int8",
        n_cameras=len(drive.rig),
        n_parity_frames=1,
        calibration=DriveSource("synthetic", tmp_path / "tree"),
    )
    said: list[str] = []
    parity = build_engine(request, report=said.append).parity
    assert parity.frames == "synthetic frames (tree)"
    assert parity.abs_rel_reference is not None
    assert "not known" not in "".join(said)


def test_an_engine_over_its_bound_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PARITY_BOUNDS, "fp32", ParityBound(-1.0, -1.0, -1.0, -1.0, -1.0))
    with pytest.raises(EngineMismatchError, match="onnxruntime fp32 is not torch fp32"):
        build_engine(BuildRequest(checkpoint, tmp_path / "student", n_cameras=2, n_parity_frames=1))
    assert list(tmp_path.iterdir()) == []


def test_the_benchmark_counts_every_stage(engine: Path) -> None:
    manifest = load_manifest(engine)
    with open_backend(engine, threads=1) as backend:
        frames = proof_frames(backend.spec, None, 1)
        measurement = measure_engine(backend, manifest, frames, n_runs=20, threads="1")
        with pytest.raises(ConfigError, match="too few"):
            measure_engine(backend, manifest, frames, n_runs=19, threads="1")
    stages = measurement.stages
    assert list(stages) == ["prepare", "infer", "decode", "fuse", "whole"]
    assert {stage.count for stage in stages.values()} == {20}
    report = json.loads(json.dumps(measurement.as_json()))
    assert report["machine"]["cpu"]
    assert report["model_sha256"] == manifest.onnx.sha256
    (whole,) = (line for line in markdown_table(measurement).splitlines() if line.startswith("| whole |"))
    assert whole.split("|")[5].strip() == "-"  # 20 runs have no 99th percentile


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is this a checkpoint directory"):
        build_engine(BuildRequest(tmp_path / "nothing", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
