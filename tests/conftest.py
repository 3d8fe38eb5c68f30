"""What every test gets: the real fixtures where they exist, and no network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
REAL_DATA_VARIABLE = "SURROUND_DEPTH_REAL_DATA"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real nuScenes and DDAD fixtures; skips with a reason where it is missing."""
    folder = Path(os.environ.get(REAL_DATA_VARIABLE, CHECKOUT.parent / "shared" / "real"))
    if not (folder / "nuscenes").is_dir():
        pytest.skip(f"no real data at {folder}; set {REAL_DATA_VARIABLE} to the folder that holds nuscenes/ and ddad/")
    return folder


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Root of the checkout under test."""
    return CHECKOUT


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the indexes of test trees out of the user's cache; processes that tests start inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SURROUND_DEPTH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def refuse_outside_address(address: Any) -> None:
    """Raise when `address` (a socket address) leaves this machine. Names need a network too."""
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"a test tried to connect to {address}; tests run without a network")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Let sockets of this process reach this machine only."""
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex"):
            original = getattr(socket.socket, method)

            def guarded(self: socket.socket, address: Any, _original: Any = original) -> Any:
                refuse_outside_address(address)
                return _original(self, address)

            patch.setattr(socket.socket, method, guarded)
        yield
