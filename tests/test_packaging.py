"""What is installed: a light import, a light vehicle install, and a wheel that holds the package and its data only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

HEAVY = {"torch", "open3d", "transformers", "onnxruntime", "onnx", "cv2", "numba", "pydantic"}


def project(checkout: Path) -> dict:
    return tomllib.loads((checkout / "pyproject.toml").read_text())["project"]


def distribution(requirement: str) -> str:
    """Normalised distribution name of a requirement line (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0]).lower()


def test_import_is_light(tmp_path: Path) -> None:
    probe = "import sys; import surround_depth; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert not HEAVY & set(result.stdout.split())


def test_vehicle_install_is_light(checkout: Path) -> None:
    names = {distribution(line) for line in project(checkout)["dependencies"]}
    assert not names & {"torch", "open3d", "transformers", "rerun-sdk", "tensorboard", "onnx", "tqdm"}


def test_every_dependency_has_an_exact_version(checkout: Path) -> None:
    pins = [
        line for line in (checkout / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[a-z0-9-]+==[^=<>~*+]+", pin) for pin in pins), (
        "constraints are exact and public versions"
    )
    pinned = {pin.split("==")[0] for pin in pins}
    extras = project(checkout)["optional-dependencies"]
    wanted = set(map(distribution, project(checkout)["dependencies"]))
    # Both are installed by hand on the machine with the GPU, at the version its driver wants.
    by_hand = {"tensorrt", "pycuda"}
    for extra in extras.keys() - by_hand:
        wanted |= set(map(distribution, extras[extra]))
    assert wanted <= pinned
    (installed,) = re.findall(r"^EXTRAS := (.*)$", (checkout / "Makefile").read_text(), re.MULTILINE)
    assert not by_hand & set(installed.split(","))


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from a copy of the sources: building leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = copy_of_sources(checkout, folder / "sources")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    subprocess.run([*build, "-w", str(folder), str(sources)], check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def copy_of_sources(checkout: Path, folder: Path) -> Path:
    """Copy what a build may see: the package, and the folders that must not get into the wheel."""
    for name in ("surround_depth", "calib", "tools", "deploy", "tests"):
        shutil.copytree(checkout / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(checkout / name, folder / name)
    return folder


def test_wheel_holds_the_data(wheel: Path, checkout: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    data = [
        path.relative_to(checkout).as_posix()
        for pattern in ("*.cu", "*.yaml", "*.html", "*.safetensors", "*.json", "*.md", "*.txt")
        for path in (checkout / "surround_depth").rglob(pattern)
    ]
    rigs = [f"surround_depth/rigs/{path.name}" for path in (checkout / "calib" / "rigs").glob("*.yaml")]
    masks = [
        f"surround_depth/masks/{path.relative_to(checkout / 'calib' / 'masks').as_posix()}"
        for path in (checkout / "calib" / "masks").rglob("*.*")
    ]
    assert inside >= {*data, *rigs, *masks}
    assert inside >= {
        "surround_depth/rigs/nuscenes.yaml",
        "surround_depth/masks/synthetic_nuscenes/CAM_BACK.png",
        "surround_depth/configs/train/synthetic_demo.yaml",
        "surround_depth/weights/nano_synthetic/model.safetensors",
        "surround_depth/inference/pipeline.py",
    }


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"surround_depth"}
    assert not [name for name in names if name.endswith(".pyc")]


def test_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    probe = (
        "import surround_depth; from surround_depth.config import load_config; "
        "from surround_depth.training.config import TrainConfig; "
        "from surround_depth.data.own_body_masks import shipped_masks; "
        "print(surround_depth.__file__, len(surround_depth.load_rig('nuscenes')), "
        "len(list(shipped_masks('synthetic_ddad').glob('*.png'))), "
        "load_config(TrainConfig, 'synthetic_demo').name)"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stdout.split() == [str(tmp_path / "surround_depth" / "__init__.py"), "6", "6", "synthetic_demo"]
