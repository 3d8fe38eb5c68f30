from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
from tiny_engine import SPEC, tiny_graph, tiny_inputs

from surround_depth.errors import EngineMismatchError
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec
from surround_depth.inference.cpu import allowed_cpus, physical_cores
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend


def test_the_threads_are_the_ones_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = onnxruntime.InferenceSession

    def spy(content: bytes, options: onnxruntime.SessionOptions, providers: list[str]) -> object:
        seen.append((options.intra_op_num_threads, options.inter_op_num_threads, providers))
        return original(content, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    content = tiny_graph().SerializeToString()
    OnnxRuntimeBackend(content, SPEC, threads=1).close()
    OnnxRuntimeBackend(content, SPEC).close()
    assert seen == [(1, 1, ["CPUExecutionProvider"]), (physical_cores(), 1, ["CPUExecutionProvider"])]
    with pytest.raises(EngineMismatchError, match="at least 1"):
        OnnxRuntimeBackend(content, SPEC, threads=0)


def test_a_graph_that_declares_other_tensors_is_refused() -> None:
    other = EngineSpec(InputSpec(height_px=96, width_px=96), SPEC.n_cameras, 0.5, 80.0, "0" * 64)
    with pytest.raises(EngineMismatchError, match=r"'images' is tensor\(uint8\) \[2, 64, 96, 3\].*\[2, 96, 96, 3\]"):
        OnnxRuntimeBackend(tiny_graph().SerializeToString(), other)
    renamed = tiny_graph()
    renamed.graph.input[1].name = "K"
    renamed.graph.node[3].input[0] = "K"
    with pytest.raises(EngineMismatchError, match="inputs are"):
        OnnxRuntimeBackend(renamed.SerializeToString(), SPEC)


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(EngineMismatchError, match="cannot load the graph"):
        OnnxRuntimeBackend(b"not a graph at all", SPEC)


def test_one_and_two_threads_agree() -> None:
    content = tiny_graph().SerializeToString()
    with OnnxRuntimeBackend(content, SPEC, threads=1) as one, OnnxRuntimeBackend(content, SPEC, threads=2) as two:
        assert (one.infer(tiny_inputs()).depth_m == two.infer(tiny_inputs()).depth_m).all()


def test_hyper_threads_count_as_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surround_depth.inference.cpu.allowed_cpus", lambda: {0, 1, 2, 3})
    monkeypatch.setattr("surround_depth.inference.cpu._quota_cores", lambda: 64)
    for cpu in range(4):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    assert physical_cores(tmp_path) == 2
    assert physical_cores(tmp_path / "no topology") == 4


def test_a_container_quota_caps_the_cores(tmp_path: Path) -> None:
    from surround_depth.inference.cpu import _quota_cores

    for text, cores in (("150000 100000", 1), ("400000 100000", 4), ("50000 100000", 1)):
        (tmp_path / "cpu.max").write_text(text)
        assert _quota_cores(tmp_path / "cpu.max") == cores
    assert physical_cores() >= 1
    assert allowed_cpus()
