"""The folder of own-body masks reaches the reader, or is refused by its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from surround_depth.errors import ConfigError
from surround_depth.training import drives
from surround_depth.training.config import DataConfig
from surround_depth.training.drives import open_drives


def test_masks_and_version_reach_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Named:
        def scenes(self) -> tuple[str, ...]:
            return ("a", "b")

        def sequence(self, scene: str) -> str:
            return scene

    opened: dict[str, Any] = {}

    def open_dataset(kind: str, root: str, *, version: str | None, masks: Path | None) -> Named:
        opened.update(kind=kind, root=root, version=version, masks=masks)
        return Named()

    monkeypatch.setattr(drives, "open_dataset", open_dataset)
    found = open_drives(DataConfig(kind="nuscenes", root=str(tmp_path), version="v1.0", masks=str(tmp_path)))
    assert opened == {"kind": "nuscenes", "root": str(tmp_path), "version": "v1.0", "masks": tmp_path}
    assert (found.train, found.val) == (("a",), ("b",))


def test_a_missing_folder_of_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.masks: .*nowhere' is no folder"):
        open_drives(DataConfig(kind="ddad", root=str(tmp_path), masks="nowhere"))
    with pytest.raises(ConfigError, match=r"data\.root: '~nosuchuser/a' does not exist"):
        open_drives(DataConfig(kind="ddad", root="~nosuchuser/a"))
