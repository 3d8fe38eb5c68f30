"""What pyproject.toml cannot say: calib/rigs, where a technician looks, is also package data `surround_depth/rigs`."""

from setuptools import find_namespace_packages, setup

# Namespace packages, because the folders of configs and weights hold data only.
packages = find_namespace_packages(
    include=["surround_depth", "surround_depth.*"], exclude=["*.__pycache__", "*.__pycache__.*"]
)

setup(packages=[*packages, "surround_depth.rigs"], package_dir={"surround_depth.rigs": "calib/rigs"})
