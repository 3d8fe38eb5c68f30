"""Street furniture: lamps, signs, signals, fences, bins, benches. Frame: x along the street, y left of it, z up."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from surround_depth.data.synthetic import materials
from surround_depth.data.synthetic.mesh import Mesh, Rgb, box, from_vertices, merge, tube

_STEEL: Rgb = (0.26, 0.27, 0.28)


def pole(height_m: float, radius_m: float, rgb: Rgb = _STEEL) -> Mesh:
    """Return a round post."""
    path = np.array([[0, 0, -0.1], [0, 0, height_m * 0.5], [0, 0, height_m]])
    return tube(path, radius_m * np.array([1.15, 1.0, 0.8]), materials.METAL, rgb, sides=8)


def lamp(height_m: float, reach_m: float) -> Mesh:
    """Return a street lamp whose arm reaches towards +y."""
    arm = np.array(
        [
            [0, 0, height_m - 0.3],
            [0, reach_m * 0.2, height_m],
            [0, reach_m * 0.6, height_m + 0.12],
            [0, reach_m, height_m + 0.15],
        ]
    )
    return merge([
        pole(height_m - 0.2, 0.075),
        tube(arm, np.full(4, 0.04), materials.METAL, _STEEL, sides=6),
        box((0, reach_m, height_m + 0.14), (0.24, 0.62, 0.09), materials.METAL, (0.30, 0.31, 0.32)),
        box((0, reach_m, height_m + 0.08), (0.18, 0.50, 0.04), materials.LAMP_AT_NIGHT, (1.0, 0.86, 0.62)),
    ])  # fmt: skip


_RED: Rgb = (0.50, 0.02, 0.02)
_WHITE: Rgb = (0.66, 0.66, 0.66)
_BLUE: Rgb = (0.02, 0.10, 0.42)


def _plate(points_yz: np.ndarray, x: float, rgb: Rgb) -> Mesh:
    """Return a flat plate facing -x (towards traffic that drives along +x)."""
    n = len(points_yz)
    vertices = np.concatenate([np.full((n, 1), x), points_yz], axis=1)
    triangles = np.array([[0, i + 1, i] for i in range(1, n - 1)])
    return from_vertices(vertices, triangles, materials.MATTE, rgb)


def _polygon(sides: int, radius: float, z: float, turn_rad: float = 0.0) -> np.ndarray:
    angle = turn_rad + np.arange(sides) * 2 * np.pi / sides
    return np.stack([radius * np.cos(angle), z + radius * np.sin(angle)], -1)


@lru_cache(maxsize=64)
def sign(kind: int) -> Mesh:
    """Return a traffic sign on its post: 0 warning, 1 limit, 2 priority, 3 crossing (blue), 4 stop."""
    z = 2.35
    parts = [pole(2.75, 0.035)]
    sides, radius, turn, rim, face = (
        (3, 0.48, np.pi / 2, _RED, _WHITE), (20, 0.33, 0, _RED, _WHITE), (4, 0.36, 0, _WHITE, (0.62, 0.40, 0.02)),
        (4, 0.45, np.pi / 4, _WHITE, _BLUE), (8, 0.38, np.pi / 8, _WHITE, _RED),
    )[kind]  # fmt: skip
    parts.append(_plate(_polygon(sides, radius, z, turn), -0.045, rim))
    parts.append(_plate(_polygon(sides, radius * 0.74, z, turn), -0.055, face))
    back = _plate(_polygon(sides, radius, z, turn)[::-1], -0.03, (0.38, 0.38, 0.39))
    parts.append(back)
    if kind in (0, 1, 3):
        ink = (0.02, 0.02, 0.02) if kind != 3 else _WHITE
        parts += [
            _plate(
                np.array([(y - 0.035, z - 0.13), (y + 0.035, z - 0.13), (y + 0.035, z + 0.1), (y - 0.035, z + 0.1)]),
                -0.06,
                ink,
            )
            for y in (-0.07, 0.07)
        ]
    return merge(parts)


@lru_cache(maxsize=64)
def signal(state: int, mast_m: float = 0.0) -> Mesh:
    """Return a traffic light facing -x; state 0 red, 1 amber, 2 green; a mast reaches towards +y."""
    parts = [pole(3.4, 0.06)]
    heads = [(0.0, 2.9)]
    if mast_m > 0:
        parts += [
            pole(5.6, 0.09),
            tube(
                np.array([[0, 0, 5.4], [0, mast_m / 2, 5.7], [0, mast_m, 5.7]]),
                np.full(3, 0.06),
                materials.METAL,
                _STEEL,
                sides=6,
            ),
        ]
        heads.append((mast_m, 5.5))
    for y, z in heads:
        parts.append(box((-0.10, y, z), (0.22, 0.32, 0.95), materials.MATTE, (0.02, 0.02, 0.02)))
        for i, rgb in enumerate(((0.95, 0.05, 0.03), (0.95, 0.55, 0.03), (0.05, 0.85, 0.35))):
            glow = rgb if i == state else (rgb[0] * 0.06, rgb[1] * 0.06, rgb[2] * 0.06)
            lens = _plate(_polygon(10, 0.11, z + 0.30 - 0.30 * i) + np.array([y, 0.0]), -0.225, glow)
            lens.material[:] = materials.LAMP if i == state else materials.MATTE
            parts.append(lens)
    return merge(parts)


@lru_cache(maxsize=64)
def picket_fence(length_m: float, rgb: Rgb, height_m: float = 1.1) -> Mesh:
    """Return a fence of boards along x from 0."""
    parts = []
    n = max(2, int(length_m / 0.16))
    for x in np.linspace(0.06, length_m - 0.06, n):
        parts.append(box((x, 0, height_m / 2 + 0.05), (0.095, 0.022, height_m), materials.WOOD, rgb, bottom=False))
    for z in (0.3, height_m * 0.82):
        parts.append(box((length_m / 2, 0.035, z), (length_m, 0.04, 0.08), materials.WOOD, rgb))
    return merge(parts)


@lru_cache(maxsize=64)
def rail_fence(length_m: float, height_m: float = 1.1) -> Mesh:
    """Return a metal railing along x from 0."""
    rgb = (0.05, 0.07, 0.06)
    parts = [box((length_m / 2, 0, z), (length_m, 0.04, 0.05), materials.METAL, rgb) for z in (0.15, height_m)]
    for x in np.arange(0.0, length_m + 0.01, 0.14):
        parts.append(box((x, 0, height_m / 2), (0.022, 0.022, height_m), materials.METAL, rgb, bottom=False))
    for x in np.arange(0.0, length_m + 0.01, 2.5):
        parts.append(box((x, 0, height_m / 2), (0.06, 0.06, height_m + 0.1), materials.METAL, rgb))
    return merge(parts)


@lru_cache(maxsize=64)
def garden_wall(length_m: float, height_m: float, rgb: Rgb) -> Mesh:
    """Return a brick wall along x from 0 with a coping."""
    body = box((length_m / 2, 0, height_m / 2 - 0.1), (length_m, 0.26, height_m + 0.2), materials.BRICK, rgb)
    coping = box(
        (length_m / 2, 0, height_m + 0.04), (length_m + 0.06, 0.34, 0.08), materials.CONCRETE, (0.42, 0.41, 0.39)
    )
    return merge([body, coping])


def wheelie_bin(rgb: Rgb) -> Mesh:
    """Return a household bin on wheels."""
    wheels = box((-0.22, 0, 0.1), (0.14, 0.56, 0.2), materials.MATTE, (0.03, 0.03, 0.03))
    tub = box((0, 0, 0.55), (0.52, 0.58, 0.9), materials.MATTE, rgb)
    lid = box((0, 0, 1.03), (0.58, 0.64, 0.07), materials.MATTE, rgb)
    return merge([tub, lid, wheels])


@lru_cache(maxsize=64)
def bench() -> Mesh:
    """Return a bench facing +y."""
    wood = (0.24, 0.14, 0.07)
    parts = [box((0, 0.1 * i - 0.1, 0.46), (1.7, 0.085, 0.04), materials.WOOD, wood) for i in range(4)]
    parts += [box((0, -0.19 - 0.03 * i, 0.60 + 0.14 * i), (1.7, 0.035, 0.1), materials.WOOD, wood) for i in range(3)]
    parts += [box((x, 0, 0.22), (0.07, 0.42, 0.46), materials.METAL, (0.06, 0.06, 0.06)) for x in (-0.7, 0.7)]
    return merge(parts)


@lru_cache(maxsize=64)
def bollard() -> Mesh:
    """Return a short post with a light band."""
    return merge(
        [
            pole(0.9, 0.07, (0.10, 0.10, 0.11)),
            tube(np.array([[0, 0, 0.7], [0, 0, 0.8]]), np.array([0.08, 0.08]), materials.MATTE, _WHITE),
        ]
    )


@lru_cache(maxsize=64)
def bus_shelter() -> Mesh:
    """Return a glass bus shelter open towards +y."""
    frame = (0.12, 0.13, 0.14)
    parts = [box((x, -0.7, 1.2), (0.07, 0.07, 2.4), materials.METAL, frame) for x in (-1.8, 0, 1.8)]
    parts += [box((0, -0.25, 2.45), (4.0, 1.5, 0.10), materials.METAL, frame)]
    parts += [box((0, -0.7, 1.25), (3.6, 0.02, 1.9), materials.GLASS, (0.06, 0.08, 0.08))]
    parts += [
        box((1.83, -0.2, 1.25), (0.06, 1.0, 1.8), materials.MATTE, (0.35, 0.10, 0.12)),
        box((-0.4, -0.5, 0.47), (2.2, 0.35, 0.06), materials.WOOD, (0.22, 0.13, 0.07)),
    ]
    return merge(parts)


def bin_colours() -> tuple[Rgb, ...]:
    """Return the usual colours of bins."""
    return ((0.03, 0.09, 0.04), (0.04, 0.04, 0.045), (0.05, 0.09, 0.22), (0.30, 0.22, 0.03))
