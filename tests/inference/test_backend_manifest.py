"""Every way in which an engine folder can be wrong is refused before a runtime sees a byte, in one line with a fix."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_engine import tiny_graph, tiny_manifest, write_tiny_engine

from surround_depth.errors import EngineMismatchError
from surround_depth.inference import onnxruntime_backend
from surround_depth.inference.backend import open_backend
from surround_depth.inference.manifest import MAX_MANIFEST_BYTES, load_manifest


def flip_a_bit(engine: Path) -> None:
    content = bytearray((engine / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (engine / "model.onnx").write_bytes(bytes(content))


def replace_by_link(engine: Path, name: str) -> None:
    (engine / name).rename(engine.parent / f"elsewhere-{name}")
    (engine / name).symlink_to(engine.parent / f"elsewhere-{name}")


def replace_by_pipe(engine: Path) -> None:
    (engine / "model.onnx").unlink()
    os.mkfifo(engine / "model.onnx")


REFUSALS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "flipped bit": (flip_a_bit, "model.onnx: SHA-256"),
    "truncated": (lambda e: os.truncate(e / "model.onnx", 100), "holds 100 bytes, the manifest says"),
    "missing graph": (lambda e: (e / "model.onnx").unlink(), "model.onnx is missing"),
    "missing manifest": (lambda e: (e / "model.json").unlink(), "model.json is missing"),
    "linked graph": (lambda e: replace_by_link(e, "model.onnx"), "model.onnx is a link"),
    "linked manifest": (lambda e: replace_by_link(e, "model.json"), "model.json is a link"),
    "pipe": (replace_by_pipe, "model.onnx is not a plain file"),
    "world-writable folder": (lambda e: e.chmod(0o777), "every user may write to it; run chmod o-w"),
    "world-writable graph": (lambda e: (e / "model.onnx").chmod(0o666), "every user may write to model.onnx"),
    "not JSON": (lambda e: (e / "model.json").write_text("{"), "model.json: Invalid JSON"),
    "binary": (lambda e: (e / "model.json").write_bytes(b"\xff\xfe\x00"), "model.json: Invalid JSON"),
    "a list": (lambda e: (e / "model.json").write_text("[]"), "model.json: "),
    "deep": (lambda e: (e / "model.json").write_text("[" * 100_000), "model.json: "),
    "huge": (lambda e: (e / "model.json").write_text(" " * (MAX_MANIFEST_BYTES + 1)), "over the limit"),
}


@pytest.mark.parametrize("spoil, complaint", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_spoilt_engine_never_reaches_the_runtime(
    spoil: Callable[[Path], Any], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_session(*_: object) -> None:
        raise AssertionError("the runtime was asked to load unverified bytes")

    monkeypatch.setattr(onnxruntime_backend, "open_session", no_session)
    engine = write_tiny_engine(tmp_path / "engine")
    spoil(engine)
    with pytest.raises(EngineMismatchError, match=complaint) as caught:
        open_backend(engine)
    message = str(caught.value)
    assert "\n" not in message
    assert "python deploy/build_engine.py" in message


FILE = {"name": "model.onnx", "sha256": "a" * 64, "n_bytes": 10}


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"schema_version": 2}, "schema_version: Input should be 1, got '2'"),
        (
            {"engine": "magic"},
            "engine: Input should be 'onnxruntime', 'openvino', 'tensorrt' or 'tensorrt_rtx', got 'magic'",
        ),
        ({"precision": "bf16"}, "precision: "),
        ({"n_cameras": 0}, "n_cameras: "),
        ({"n_cameras": "2"}, "n_cameras: Input should be a valid integer"),
        ({"max_depth_m": float("nan")}, "max_depth_m: "),
        ({"max_depth_m": 0.5}, "must be below max_depth_m"),
        ({"input": {"height_px": 60, "width_px": 96}}, "multiple of 32"),
        ({"input": {"height_px": 64, "width_px": 96, "kernel": "lanczos"}}, "input.kernel: "),
        ({"onnx": FILE | {"name": "../model.onnx"}}, "onnx.name: "),
        ({"onnx": FILE | {"name": "/etc/passwd"}}, "onnx.name: "),
        ({"onnx": FILE | {"sha256": "short"}}, "onnx.sha256: "),
        ({"onnx": FILE | {"n_bytes": 1 << 40}}, "onnx.n_bytes: "),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"engine": "tensorrt"}, "'plan' and 'tensorrt' belong to a TensorRT engine"),
        ({"plan": FILE | {"name": "model.plan"}}, "'plan' and 'tensorrt' belong to a TensorRT engine"),
    ],
)
def test_a_wrong_manifest_names_its_key(changes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine", **changes)
    with pytest.raises(EngineMismatchError, match=r"model\.json: ") as caught:
        open_backend(engine)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    manifest = json.loads((engine / "model.json").read_text())
    del manifest["parity"]
    (engine / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(EngineMismatchError, match="parity: Field required"):
        open_backend(engine)


def test_a_linked_folder_and_a_folder_that_is_none_are_refused(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    (tmp_path / "link").symlink_to(engine)
    with pytest.raises(EngineMismatchError, match=f"is a link; open {engine} itself"):
        open_backend(tmp_path / "link")
    with pytest.raises(EngineMismatchError, match="no such engine directory"):
        open_backend(tmp_path / "nowhere")
    with pytest.raises(EngineMismatchError, match="is not a directory"):
        open_backend(engine / "model.onnx")


def test_a_checkpoint_is_no_engine(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(EngineMismatchError, match=f"is a checkpoint, not an engine.*--checkpoint {tmp_path} --out"):
        open_backend(tmp_path)


def test_a_device_that_would_not_be_used_is_refused(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    with pytest.raises(EngineMismatchError, match="onnxruntime runs on the CPU; leave device='pycuda' out"):
        open_backend(engine, device="pycuda")
    with pytest.raises(EngineMismatchError, match="device 'cuda' is unknown; choose one of cuda-bindings, pycuda"):
        open_backend(engine, device="cuda")  # type: ignore[arg-type]


def test_an_engine_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    stranger = 4242
    if os.geteuid() == 0:
        os.chown(engine / "model.json", stranger, -1)
        with pytest.raises(EngineMismatchError, match=r"model\.json belongs to user 4242.*chown -R root"):
            open_backend(engine)
        os.chown(engine, stranger, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(EngineMismatchError, match=r"it belongs to user \d+, who may write to it"):
        open_backend(engine)


def test_a_folder_that_every_user_may_exchange_is_refused(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    tmp_path.chmod(0o777)
    with pytest.raises(EngineMismatchError, match=f"every user may exchange it in {tmp_path}; run chmod o-w"):
        open_backend(engine)
    tmp_path.chmod(0o1777)  # sticky, as /tmp
    open_backend(engine).close()


def test_damaged_manifests_never_crash_the_loader(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    whole = json.dumps(tiny_manifest(tiny_graph().SerializeToString())).encode()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            content[place] = rng.integers(0, 256)
        (engine / "model.json").write_bytes(bytes(content))
        try:
            load_manifest(engine)
        except EngineMismatchError:
            refused += 1
    assert refused > 100
