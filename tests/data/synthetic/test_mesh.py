"""Mesh primitives: outward normals, sizes, uv in metres; and the ray scene on a box worked by hand."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from surround_depth.data.synthetic import raycast
from surround_depth.data.synthetic.materials import MATTE
from surround_depth.data.synthetic.mesh import Mesh, box, capsule, ellipsoid, merge, pose, tube
from surround_depth.data.synthetic.raycast import RayScene
from surround_depth.data.synthetic.vehicles import build_vehicle
from surround_depth.errors import MissingDependencyError

GREY = (0.5, 0.5, 0.5)


def signed_volume_m3(mesh: Mesh) -> float:
    """Return the enclosed volume, positive when all triangles turn outwards (divergence theorem)."""
    a, b, c = (mesh.corners_m[:, i].astype(np.float64) for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6.0)


@pytest.mark.parametrize(
    ("mesh", "volume_m3"),
    [
        (box((1, 2, 3), (2.0, 3.0, 4.0), MATTE, GREY), 24.0),
        (ellipsoid((0, 0, 1), (1.0, 2.0, 0.5), MATTE, GREY, rings=40, sides=60), 4 / 3 * np.pi),
        (tube(np.array([[0, 0, 0], [0, 0, 2.0]]), np.array([1.0, 1.0]), MATTE, GREY, sides=90), 2 * np.pi),
    ],
    ids=["box", "ellipsoid", "tube"],
)
def test_primitives_enclose_their_volume(mesh: Mesh, volume_m3: float) -> None:
    assert signed_volume_m3(mesh) == pytest.approx(volume_m3, rel=0.01)


@pytest.mark.parametrize(
    "build",
    [lambda: box((0, 0, 0), (1, 1, 1), MATTE, GREY), lambda: capsule((0, 0, 0), (0, 0.5, 1), 0.1, MATTE, GREY)],
    ids=["box", "capsule"],
)
def test_normals_are_unit_and_point_outwards(build: Callable[[], Mesh]) -> None:
    mesh = build()
    face = np.cross(mesh.corners_m[:, 1] - mesh.corners_m[:, 0], mesh.corners_m[:, 2] - mesh.corners_m[:, 0])
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=-1), 1.0, atol=1e-5)
    assert ((mesh.normals * face[:, None]).sum(axis=-1) > 0).all()


def test_moved_turns_corners_and_normals() -> None:
    arrow = box((1.0, 0, 0), (0.2, 0.2, 0.2), MATTE, GREY).moved(pose(10, 0, 0, np.pi / 2))
    np.testing.assert_allclose(arrow.corners_m.reshape(-1, 3).mean(axis=0), (10, 1, 0), atol=1e-5)
    assert np.abs(arrow.normals[:2, :, 1]).min() > 0.99  # the +x face now looks along y


@pytest.mark.parametrize("name", ["sedan", "hatch", "estate", "suv", "van", "minibus", "bus", "truck"])
def test_vehicles_stand_on_the_ground_in_their_box(name: str) -> None:
    vehicle = build_vehicle(name, GREY)
    low, high = vehicle.mesh.corners_m.reshape(-1, 3).min(axis=0), vehicle.mesh.corners_m.reshape(-1, 3).max(axis=0)
    assert low[2] == pytest.approx(0.0, abs=0.02)
    assert high[2] == pytest.approx(vehicle.height_m, abs=0.08)
    assert high[0] - low[0] == pytest.approx(vehicle.length_m, abs=0.15)
    assert high[1] - low[1] == pytest.approx(vehicle.width_m, abs=0.45)  # mirrors


def test_ray_scene_on_a_box() -> None:
    scene = RayScene(box((5, 0, 0), (2, 2, 2), MATTE, GREY).corners_m)
    rays = np.array([[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [5, 0, 9, 0, 0, -2]], dtype=np.float32)
    hits = scene.cast(rays)
    np.testing.assert_allclose(hits.t, [4.0, np.inf, 4.0], rtol=1e-6)
    assert list(hits.triangle >= 0) == [True, False, True]
    assert list(scene.occluded(rays)) == [True, False, True]


def test_empty_ray_scene_hits_nothing() -> None:
    hits = RayScene(merge([]).corners_m).cast(np.ones((3, 6), np.float32))
    assert np.isinf(hits.t).all()
    assert (hits.triangle == -1).all()


def test_missing_open3d_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_open3d(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "open3d":
            raise ImportError("No module named 'open3d'")
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "open3d", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_open3d)
    raycast.import_open3d.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"surround_depth\[sim\]"):
        raycast.import_open3d()
