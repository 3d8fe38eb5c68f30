"""Trees, bushes and hedges: limbs of bark, crowns of leaf cards around a dark core. Origin at the foot, z up."""

from __future__ import annotations

import numpy as np

from surround_depth.data.synthetic import materials
from surround_depth.data.synthetic.mesh import Mesh, Rgb, box, ellipsoid, merge, tube

_BARKS: tuple[Rgb, ...] = ((0.13, 0.095, 0.065), (0.10, 0.08, 0.065), (0.30, 0.29, 0.27), (0.17, 0.12, 0.08))
KINDS = ("round", "round", "oak", "oak", "poplar", "conifer", "birch", "young")


def leaf_cards(
    generator: np.random.Generator, centre_m: np.ndarray, radii_m: np.ndarray, n: int, leaf_m: float, rgb: Rgb
) -> Mesh:
    """Return n leaf clumps (bent quads) in the outer shell of an ellipsoid.

    Normals point out of the crown, so that it is lit like one soft body; params[0] is how open the clump lies.
    """
    direction = generator.standard_normal((n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    depth = generator.uniform(0.68, 1.06, (n, 1))
    at = centre_m + direction * depth * radii_m
    facing = direction + 0.75 * generator.standard_normal((n, 3))
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    side = np.cross(facing, generator.standard_normal((n, 3)))
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    up = np.cross(side, facing)
    size = leaf_m * generator.uniform(0.6, 1.35, (n, 1))
    a, b = at - side * size * 0.5, at + side * size * 0.5
    c, d = at + up * size * 0.8 + facing * size * 0.15, at - up * size * 0.7 + facing * size * 0.1
    corners = np.stack([np.stack([a, b, c], 1), np.stack([b, a, d], 1)], 1).reshape(-1, 3, 3)
    outward = (corners - centre_m) / radii_m**2
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
    normals = outward * 0.8 + np.repeat(facing, 2, axis=0)[:, None] * 0.35
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    tone = np.repeat(generator.uniform(0.72, 1.25, (n, 1)), 2, axis=0)
    openness = np.repeat(np.clip((depth - 0.55) * 1.7 + 0.25 * direction[:, 2:3], 0.25, 1.0), 2, axis=0)
    tilt = generator.uniform(0, 50, (2 * n, 1, 2))
    uv = np.array([[0.0, 0], [1, 0], [0.5, 1]])[None] * np.repeat(size, 2, axis=0)[:, None] + tilt
    params = np.zeros((2 * n, 4), np.float32)
    params[:, :1] = openness
    return Mesh(
        corners.astype(np.float32), normals.astype(np.float32), uv.astype(np.float32),
        np.full(2 * n, materials.LEAVES, np.uint8), (np.asarray(rgb) * tone).astype(np.float32), params,
    )  # fmt: skip


def _core(centre_m: np.ndarray, radii_m: np.ndarray, rgb: Rgb) -> Mesh:
    """Return the dark inside that keeps a crown from being see-through."""
    dark = (rgb[0] * 0.55, rgb[1] * 0.55, rgb[2] * 0.55)
    mesh = ellipsoid(centre_m, radii_m * 0.74, materials.LEAVES, dark, rings=5, sides=7)
    mesh.params[:, 0] = 0.35
    return mesh


def _trunk(generator: np.random.Generator, height_m: float, radius_m: float, bark: Rgb, lean_m: float = 0.25) -> Mesh:
    z = np.array([-0.1, 0.12, 0.35, 0.6, 1.0]) * height_m
    z[1] = 0.25
    bend = generator.uniform(-lean_m, lean_m, 2)
    path = np.stack([bend[0] * (z / height_m) ** 2, bend[1] * (z / height_m) ** 2, z], -1)
    return tube(path, radius_m * np.array([1.5, 1.12, 0.9, 0.78, 0.5]), materials.BARK, bark, sides=8)


def _green(generator: np.random.Generator, *, conifer: bool = False) -> Rgb:
    if conifer:
        return (0.030, float(generator.uniform(0.07, 0.10)), 0.030)
    g = float(generator.uniform(0.13, 0.21))
    return (g * float(generator.uniform(0.42, 0.85)), g, g * float(generator.uniform(0.14, 0.28)))


def build_tree(generator: np.random.Generator, kind: str, *, coarse: bool = False) -> Mesh:
    """Return a tree of one of KINDS, 4 to 14 m tall; a coarse one has few, large leaf clumps and is for afar."""
    bark = _BARKS[2] if kind == "birch" else _BARKS[int(generator.integers(2)) * 3 % 4]
    green = _green(generator, conifer=kind == "conifer")
    if kind == "conifer":
        return _conifer(generator, bark, green)
    blobs: list[tuple[np.ndarray, np.ndarray]] = []
    if kind == "poplar":
        height, clear = generator.uniform(9, 14), 1.6
        for share in (0.12, 0.38, 0.65, 0.88):
            wide = height * 0.11 * (1.15 - 0.55 * abs(share - 0.35))
            blobs.append((np.array([0, 0, clear + share * (height - clear)]), np.array([wide, wide, height * 0.19])))
        radius = 0.2
    elif kind == "young":
        height, clear, radius = generator.uniform(3.6, 5.0), 1.9, 0.06
        blobs.append((np.array([0, 0, clear + (height - clear) * 0.5]), np.array([1.0, 1.0, (height - clear) * 0.55])))
    else:
        spread = {"round": 0.30, "oak": 0.40, "birch": 0.22}[kind]
        height = generator.uniform(6.0, 11.5)
        clear, radius = generator.uniform(2.0, 3.2), {"round": 0.19, "oak": 0.27, "birch": 0.12}[kind]
        wide = height * spread
        middle = (clear + height) / 2
        blobs.append((np.array([0, 0, middle + 0.3]), np.array([wide * 0.72, wide * 0.72, (height - clear) * 0.44])))
        for i in range(5 if kind == "oak" else 4):
            angle = i * 2 * np.pi / 5 + generator.uniform(-0.5, 0.5)
            away = wide * generator.uniform(0.42, 0.68)
            z = middle + (height - clear) * generator.uniform(-0.28, 0.26)
            size = wide * generator.uniform(0.38, 0.56)
            blobs.append(
                (np.array([away * np.cos(angle), away * np.sin(angle), z]), np.array([size, size, size * 0.8]))
            )
    parts = [_trunk(generator, clear + (height - clear) * 0.55, radius, bark)]
    for centre, _ in blobs[1:]:
        start = np.array([0, 0, clear * 0.85])
        parts.append(
            tube(
                np.array([start, (start + centre) / 2 + [0, 0, -0.2], centre]),
                radius * np.array([0.45, 0.32, 0.15]),
                materials.BARK,
                bark,
                sides=5,
                capped=False,
            )
        )
    for centre, radii in blobs:
        area = float(radii[0] * radii[2])
        parts.append(_core(centre, radii, green))
        leaf_m = 0.85 if coarse else 0.24 if kind == "young" else 0.38
        parts.append(leaf_cards(generator, centre, radii, int(np.clip(15 * area / leaf_m**2, 30, 520)), leaf_m, green))
    return merge(parts)


def _conifer(generator: np.random.Generator, bark: Rgb, green: Rgb) -> Mesh:
    height = generator.uniform(6, 13)
    parts = [_trunk(generator, height * 0.9, 0.16, bark, lean_m=0.1)]
    tiers = int(height * 1.1)
    for i in range(tiers):
        share = i / (tiers - 1)
        z = 1.1 + share * (height - 1.6)
        wide = (1 - share) ** 0.85 * height * 0.22 + 0.22
        parts.append(_core(np.array([0, 0, z]), np.array([wide, wide, 0.62]), green))
        parts.append(
            leaf_cards(
                generator, np.array([0, 0, z]), np.array([wide, wide, 0.55]), int(50 + 100 * (1 - share)), 0.40, green
            )
        )
    return merge(parts)


def build_bush(generator: np.random.Generator, *, rich: bool = False) -> Mesh:
    """Return a bush about 1 m tall; rich ones flower."""
    green = _green(generator)
    parts = []
    for _ in range(3):
        size = generator.uniform(0.35, 0.65)
        centre = np.array([*generator.uniform(-0.4, 0.4, 2), size * 0.8])
        radii = np.array([size, size, size * 0.9])
        parts.append(_core(centre, radii, green))
        parts.append(leaf_cards(generator, centre, radii, 60, 0.22, green))
        if rich:
            bloom = ((0.55, 0.12, 0.20), (0.60, 0.50, 0.08), (0.5, 0.45, 0.5))[int(generator.integers(3))]
            parts.append(leaf_cards(generator, centre, radii * 1.02, 14, 0.10, bloom))
    return merge(parts)


def build_hedge(generator: np.random.Generator, length_m: float, height_m: float) -> Mesh:
    """Return a clipped hedge along x, centred."""
    green = _green(generator)
    half = np.array([length_m / 2, 0.32, height_m / 2])
    centre = np.array([0, 0, height_m / 2])
    n = int(length_m * (height_m * 2 + 0.8) * 16)
    face = generator.integers(0, 5, n)
    at = generator.uniform(-1, 1, (n, 3))
    at[face == 0, 2] = 1.0
    at[(face == 1) | (face == 3), 1] = 1.0
    at[(face == 2) | (face == 4), 1] = -1.0
    cards = leaf_cards(generator, np.zeros(3), np.ones(3), n, 0.17, green)
    shift = np.repeat(at * half + centre - (cards.corners_m.reshape(n, 6, 3).mean(axis=1)), 2, axis=0)
    outward = np.zeros((n, 3))
    outward[face == 0, 2] = 1
    outward[(face == 1) | (face == 3), 1] = 1
    outward[(face == 2) | (face == 4), 1] = -1
    normals = cards.normals * 0.4 + np.repeat(outward, 2, axis=0)[:, None]
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    cards.params[:, 0] = np.repeat(0.55 + 0.4 * (at[:, 2] * 0.5 + 0.5), 2)
    moved = Mesh(
        (cards.corners_m + shift[:, None]).astype(np.float32),
        normals.astype(np.float32),
        cards.uv,
        cards.material,
        cards.rgb,
        cards.params,
    )
    dark = (green[0] * 0.7, green[1] * 0.7, green[2] * 0.7)
    inner = box(centre, (length_m - 0.05, 0.58, height_m - 0.05), materials.LEAVES, dark)
    inner.params[:, 0] = 0.5
    return merge([inner, moved])
