"""What pyproject.toml cannot say: calib/rigs and calib/masks, where a technician looks, are also package data.

They are installed as `surround_depth/rigs` and `surround_depth/masks`.
"""

from pathlib import Path

from setuptools import find_namespace_packages, setup

# Namespace packages, because the folders of configs and weights hold data only.
packages = find_namespace_packages(
    include=["surround_depth", "surround_depth.*"], exclude=["*.__pycache__", "*.__pycache__.*"]
)
masks = sorted(folder.name for folder in Path("calib/masks").iterdir() if folder.is_dir())
shared = {"surround_depth.rigs": "calib/rigs"}
shared |= {f"surround_depth.masks.{name}": f"calib/masks/{name}" for name in masks}

setup(packages=[*packages, *shared], package_dir=shared)
