"""The hash of a data set's tables: of their content, wherever they lie, and of nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from surround_depth.data.build import DatasetKind, open_dataset
from surround_depth.data.tables_hash import tables_sha256
from surround_depth.errors import DataError


def test_the_hash_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert tables_sha256({"b": tmp_path / "x"}) == hashlib.sha256(json.dumps({"b": abc}).encode()).hexdigest()
    assert tables_sha256({"b": tmp_path / "x"}) != tables_sha256({"c": tmp_path / "x"})
    with pytest.raises(DataError, match="none cannot be read"):
        tables_sha256({"b": tmp_path / "none"})


@pytest.mark.parametrize("kind", ["nuscenes", "synthetic", "ddad"])
def test_a_copy_has_the_same_hash_and_a_changed_table_another(
    kind: DatasetKind, pristine_tables: Path, pristine_dgp: Path, tmp_path: Path
) -> None:
    tree = pristine_dgp if kind == "ddad" else pristine_tables
    moved = Path(shutil.copytree(tree, tmp_path / "moved"))
    for image in moved.rglob("*.jpg"):
        image.write_bytes(b"other")
    before = open_dataset(kind, tree).tables_sha256  # type: ignore[attr-defined]
    assert open_dataset(kind, moved).tables_sha256 == before  # type: ignore[attr-defined]
    table = next(moved.glob("*/scene_*.json")) if kind == "ddad" else next(moved.glob("*/scene.json"))
    table.write_text(table.read_text() + " ")
    assert open_dataset(kind, moved).tables_sha256 != before  # type: ignore[attr-defined]
