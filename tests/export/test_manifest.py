from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tiny_engine import tiny_graph, tiny_manifest, write_tiny_engine

from surround_depth.errors import EngineMismatchError
from surround_depth.export.manifest import record_file, require_replaceable, write_manifest
from surround_depth.inference.backend import open_backend
from surround_depth.inference.manifest import Manifest, load_manifest


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    content = tiny_graph().SerializeToString()
    manifest = Manifest.model_validate_json(json.dumps(tiny_manifest(content)))
    (tmp_path / "engine").mkdir(mode=0o755)
    (tmp_path / "engine" / "model.onnx").write_bytes(content)
    write_manifest(tmp_path / "engine", manifest)
    assert load_manifest(tmp_path / "engine") == manifest
    record = record_file(tmp_path / "engine" / "model.onnx")
    assert record == manifest.onnx
    assert record.sha256 == hashlib.sha256(content).hexdigest()
    open_backend(tmp_path / "engine", threads=1).close()


def test_only_an_engine_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    refusals = {"thesis": "holds files but no model", "file": "not a directory", "link": "not a directory"}
    for name, complaint in refusals.items():
        with pytest.raises(EngineMismatchError, match=complaint):
            require_replaceable(tmp_path / name)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        require_replaceable(tmp_path / name)
    require_replaceable(write_tiny_engine(tmp_path / "engine"))
