from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
from tiny_engine import tiny_graph, tiny_manifest, write_tiny_engine

from surround_depth.errors import EngineMismatchError
from surround_depth.export.manifest import record_file, whole_or_nothing, write_manifest
from surround_depth.inference.backend import open_backend
from surround_depth.inference.manifest import Manifest, load_manifest


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    content = tiny_graph().SerializeToString()
    manifest = Manifest.model_validate_json(json.dumps(tiny_manifest(content)))
    with whole_or_nothing(tmp_path / "engine") as folder:
        (folder / "model.onnx").write_bytes(content)
        write_manifest(folder, manifest)
    assert load_manifest(tmp_path / "engine") == manifest
    record = record_file(tmp_path / "engine" / "model.onnx")
    assert record == manifest.onnx
    assert record.sha256 == hashlib.sha256(content).hexdigest()
    open_backend(tmp_path / "engine", threads=1).close()
    assert stat.S_IMODE((tmp_path / "engine").stat().st_mode) == 0o755


def test_a_failed_build_leaves_the_old_engine_and_no_litter(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    before = (engine / "model.json").read_bytes()

    def fail_halfway() -> None:
        with whole_or_nothing(engine) as folder:
            (folder / "model.onnx").write_bytes(b"half")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway()
    assert (engine / "model.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_a_good_build_replaces_the_whole_folder(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "engine")
    (engine / "old.log").touch()
    with whole_or_nothing(engine) as folder:
        (folder / "model.json").write_text("{}")
    assert [path.name for path in engine.iterdir()] == ["model.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_only_an_engine_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    refusals = {"thesis": "holds files but no model", "file": "not a directory", "link": "not a directory"}
    for name, complaint in refusals.items():
        with pytest.raises(EngineMismatchError, match=complaint), whole_or_nothing(tmp_path / name):
            pass
    assert (tmp_path / "thesis" / "chapter1.tex").exists()
