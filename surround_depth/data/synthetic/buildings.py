"""Buildings: houses with gables, town rows, slabs, halls.

Frame: x along the street, y away from it, z up; a building fills x from 0 to its width and y from 0 (the street front)
to its depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surround_depth.data.synthetic import materials
from surround_depth.data.synthetic.mesh import Mesh, Rgb, box, from_vertices, merge, quad

_PLASTER: tuple[Rgb, ...] = (
    (0.62, 0.58, 0.50),
    (0.66, 0.64, 0.60),
    (0.58, 0.47, 0.33),
    (0.55, 0.41, 0.34),
    (0.46, 0.48, 0.50),
    (0.62, 0.53, 0.36),
    (0.42, 0.34, 0.28),
    (0.50, 0.54, 0.47),
    (0.38, 0.40, 0.43),
    (0.68, 0.60, 0.52),
)
_BRICK: tuple[Rgb, ...] = ((0.34, 0.13, 0.085), (0.27, 0.12, 0.08), (0.42, 0.26, 0.16), (0.22, 0.13, 0.10))
_TILES: tuple[Rgb, ...] = ((0.30, 0.11, 0.06), (0.22, 0.10, 0.07), (0.10, 0.10, 0.11), (0.16, 0.12, 0.10))


@dataclass(frozen=True)
class Building:
    """A mesh and the plan it fills."""

    mesh: Mesh
    width_m: float
    depth_m: float


def _walls(
    width: float, depth: float, height: float, rgb: Rgb, params: tuple, *, blank_sides: bool = False
) -> list[Mesh]:
    """Return four walls; uv starts at the left end of each wall and at its foot."""
    w, d, h = width, depth, height
    faces = [
        ((0, 0), (w, 0), False),
        ((w, 0), (w, d), blank_sides),
        ((w, d), (0, d), False),
        ((0, d), (0, 0), blank_sides),
    ]
    walls = []
    for i, ((x0, y0), (x1, y1), blank) in enumerate(faces):
        corners = np.array([(x0, y0, -0.3), (x1, y1, -0.3), (x1, y1, h), (x0, y0, h)])
        length = float(np.hypot(x1 - x0, y1 - y0))
        bays = max(1, round(length / params[0]))
        own = (0.0, params[1], params[2] % 10, params[3]) if blank else (length / bays, params[1], params[2], params[3])
        walls.append(quad(corners, materials.FACADE, rgb, params=own, uv0=(i * 0.0, -0.3, 0.0)))
    return walls


def _gable_roof(
    width: float, depth: float, eaves: float, rise: float, rgb: Rgb, wall: Rgb, params: tuple
) -> list[Mesh]:
    """Return a roof with its ridge along x, and the two gable triangles."""
    o = 0.45
    ridge = depth / 2
    drop = rise * o / ridge
    front = np.array(
        [
            (-o, -o, eaves - drop),
            (width + o, -o, eaves - drop),
            (width + o, ridge, eaves + rise),
            (-o, ridge, eaves + rise),
        ]
    )
    back = np.array(
        [
            (width + o, depth + o, eaves - drop),
            (-o, depth + o, eaves - drop),
            (-o, ridge, eaves + rise),
            (width + o, ridge, eaves + rise),
        ]
    )
    under = [side - np.array([0, 0, 0.16]) for side in (front, back)]
    parts = [quad(front, materials.ROOF, rgb), quad(back, materials.ROOF, rgb)]
    parts += [quad(side[::-1], materials.MATTE, (0.25, 0.22, 0.19)) for side in under]
    for side, low in ((front, under[0]), (back, under[1])):
        parts.append(quad(np.array([low[0], low[1], side[1], side[0]]), materials.MATTE, (0.30, 0.28, 0.26)))
    for x, order in ((0.0, (0, 2, 1)), (width, (0, 1, 2))):
        corners = np.array([(x, 0, eaves), (x, depth, eaves), (x, ridge, eaves + rise)])
        uv = np.array([[0, eaves], [depth, eaves], [ridge, eaves + rise]])
        parts.append(
            from_vertices(
                corners,
                np.array([order]),
                materials.FACADE,
                wall,
                uv=uv,
                params=(0.0, params[1], params[2] % 10, params[3]),
            )
        )
        for rim in (front, back):
            end = rim[[0, 3]] if (x == 0) == (rim is front) else rim[[1, 2]]
            board = np.array([end[0] - [0, 0, 0.2], end[1] - [0, 0, 0.2], end[1], end[0]])
            parts.append(quad(board, materials.MATTE, (0.5, 0.47, 0.42)))
    return parts


def house(generator: np.random.Generator) -> Building:
    """Return a family house with one or two storeys, a gabled roof, a chimney, a porch."""
    width, depth = float(generator.uniform(8, 14)), float(generator.uniform(8, 11))
    storeys = int(generator.integers(1, 3))
    brick = generator.random() < 0.4
    palette = _BRICK if brick else _PLASTER
    rgb = palette[int(generator.integers(len(palette)))]
    params = (float(generator.uniform(2.6, 3.4)), 2.8, 1.0 if brick else 0.0, float(generator.random()))
    eaves, rise = storeys * 2.8 + 0.3, float(generator.uniform(2.4, 4.2))
    tiles = _TILES[int(generator.integers(len(_TILES)))]
    parts = _walls(width, depth, eaves, rgb, params) + _gable_roof(width, depth, eaves, rise, tiles, rgb, params)
    at = generator.uniform(0.2, 0.8) * width
    parts.append(box((at, depth * 0.62, eaves + rise * 0.9), (0.6, 0.6, 2.2), materials.BRICK, _BRICK[0]))
    if generator.random() < 0.5:
        x = generator.uniform(0.25, 0.75) * width
        parts.append(box((x, -0.7, 2.45), (2.0, 1.4, 0.14), materials.MATTE, (0.35, 0.30, 0.26)))
        parts += [
            box((x + s * 0.85, -1.25, 1.1), (0.12, 0.12, 2.6), materials.MATTE, (0.55, 0.53, 0.5)) for s in (-1, 1)
        ]
    if generator.random() < 0.4:
        parts.append(box((width + 1.6, depth * 0.5, 1.25), (3.2, 5.6, 2.5), materials.CONCRETE, rgb))
        parts.append(
            quad(
                np.array(
                    [
                        (width + 0.3, depth * 0.5 - 2.82, 0.05),
                        (width + 2.9, depth * 0.5 - 2.82, 0.05),
                        (width + 2.9, depth * 0.5 - 2.82, 2.15),
                        (width + 0.3, depth * 0.5 - 2.82, 2.15),
                    ]
                ),
                materials.WOOD,
                (0.40, 0.38, 0.36),
            )
        )
    return Building(merge(parts), width, depth)


def block_of_flats(generator: np.random.Generator, *, in_row: bool) -> Building:
    """Return a town building of 3 to 7 storeys; in a row its ends are blank and it has shops."""
    width, depth = float(generator.uniform(10, 19)), float(generator.uniform(11, 15))
    storey = float(generator.uniform(2.9, 3.5))
    storeys = int(generator.integers(3, 8 if not in_row else 6))
    style = float(generator.choice([0, 0, 1, 1, 2, 3] if in_row else [0, 0, 1, 2, 2, 3]))
    palette = _BRICK if style == 1 else _PLASTER
    rgb = palette[int(generator.integers(len(palette)))]
    shop = 10.0 if in_row and generator.random() < 0.55 else 0.0
    params = (float(generator.uniform(2.3, 3.4)), storey, style + shop, float(generator.random()))
    height = storeys * storey + 0.5
    parts = _walls(width, depth, height, rgb, params, blank_sides=in_row)
    if in_row and generator.random() < 0.6:
        parts += _gable_roof(
            width, depth, height, float(generator.uniform(2.5, 4)), _TILES[int(generator.integers(4))], rgb, params
        )
    else:
        parts.append(
            box(
                (width / 2, depth / 2, height - 0.25),
                (width - 0.5, depth - 0.5, 0.3),
                materials.CONCRETE,
                (0.3, 0.3, 0.3),
            )
        )
        parts += _parapet(width, depth, height)
        parts.append(
            box((width * 0.4, depth * 0.5, height + 1.0), (3.2, 4.0, 2.2), materials.CONCRETE, (0.42, 0.42, 0.41))
        )
    if style in (0.0, 1.0):
        parts += [
            box((width / 2, 0.0, level * storey - 0.05), (width, 0.16, 0.14), materials.CONCRETE, (0.5, 0.48, 0.45))
            for level in (1, storeys)
        ]
    if style < 3 and generator.random() < 0.5:
        parts += _balconies(params, width, storeys, storey)
    return Building(merge(parts), width, depth)


def _parapet(width: float, depth: float, height: float) -> list[Mesh]:
    rgb = (0.46, 0.45, 0.43)
    return [
        box((width / 2, 0.05, height + 0.1), (width + 0.3, 0.35, 0.3), materials.CONCRETE, rgb),
        box((width / 2, depth - 0.05, height + 0.1), (width + 0.3, 0.35, 0.3), materials.CONCRETE, rgb),
        box((0.05, depth / 2, height + 0.1), (0.35, depth - 0.5, 0.3), materials.CONCRETE, rgb),
        box((width - 0.05, depth / 2, height + 0.1), (0.35, depth - 0.5, 0.3), materials.CONCRETE, rgb),
    ]


def _balconies(params: tuple, width: float, storeys: int, storey: float) -> list[Mesh]:
    bays = max(1, round(width / params[0]))
    bay = width / bays
    parts = []
    for level in range(1, storeys):
        for column in range(1, bays, 3):
            x, z = (column + 0.5) * bay, level * storey
            parts.append(box((x, -0.6, z + 0.02), (bay * 0.9, 1.2, 0.14), materials.CONCRETE, (0.5, 0.49, 0.47)))
            parts.append(box((x, -1.17, z + 0.6), (bay * 0.9, 0.05, 0.95), materials.METAL, (0.25, 0.27, 0.30)))
    return parts


def hall(generator: np.random.Generator) -> Building:
    """Return a commercial hall: low, wide, few windows, a coloured sign band."""
    width, depth, height = (
        float(generator.uniform(22, 42)),
        float(generator.uniform(16, 24)),
        float(generator.uniform(5, 8.5)),
    )
    rgb = ((0.50, 0.51, 0.52), (0.36, 0.40, 0.45), (0.58, 0.56, 0.51), (0.42, 0.22, 0.16))[int(generator.integers(4))]
    params = (float(generator.uniform(4, 6)), height, 4.0, float(generator.random()))
    hue = generator.uniform(0.05, 0.5, 3)
    parts = _walls(width, depth, height, rgb, params)
    parts.append(
        box(
            (width / 2, depth / 2, height - 0.1),
            (width - 0.4, depth - 0.4, 0.3),
            materials.CONCRETE,
            (0.32, 0.32, 0.32),
        )
    )
    parts += _parapet(width, depth, height)
    parts.append(
        box(
            (width * 0.5, -0.12, height - 0.9),
            (width * 0.4, 0.2, 1.1),
            materials.MATTE,
            (float(hue[0]), float(hue[1]), float(hue[2])),
        )
    )
    return Building(merge(parts), width, depth)
