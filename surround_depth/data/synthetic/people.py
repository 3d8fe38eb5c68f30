"""Pedestrians and cyclists from limbs; they walk and pedal. Frame: x forward, y left, z up, origin between the feet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from surround_depth.data.synthetic import materials
from surround_depth.data.synthetic.mesh import Mesh, Rgb, capsule, ellipsoid, from_vertices, grid_triangles, merge, tube

PHASES = 12
"""A gait is drawn in this many steps of one stride (two paces)."""

_CODED = -1.0  # green channel of a colour that stands for a part; `_dressed` puts the person's colour in its place
_SKIN, _HAIR, _TOP, _TROUSERS, _FRAME = ((float(part), _CODED, 0.0) for part in range(5))

_SKINS: tuple[Rgb, ...] = ((0.55, 0.36, 0.26), (0.42, 0.25, 0.16), (0.20, 0.11, 0.07), (0.62, 0.43, 0.33))
_HAIRS: tuple[Rgb, ...] = ((0.03, 0.02, 0.015), (0.12, 0.07, 0.03), (0.30, 0.20, 0.09), (0.25, 0.24, 0.23))
_SHOE: Rgb = (0.04, 0.035, 0.03)
_CLOTHES: tuple[Rgb, ...] = (
    (0.05, 0.06, 0.10),
    (0.03, 0.03, 0.03),
    (0.30, 0.05, 0.05),
    (0.10, 0.20, 0.33),
    (0.45, 0.44, 0.42),
    (0.14, 0.22, 0.12),
    (0.40, 0.28, 0.10),
    (0.22, 0.22, 0.24),
    (0.62, 0.60, 0.56),
    (0.17, 0.09, 0.15),
    (0.10, 0.18, 0.19),
    (0.42, 0.33, 0.12),
)


@dataclass(frozen=True)
class Person:
    """Looks of one person."""

    height_m: float
    build: float  # girth, 1 = average
    skin: Rgb
    hair: Rgb
    top: Rgb
    trousers: Rgb
    bag: bool
    skirt: bool


def draw_person(generator: np.random.Generator) -> Person:
    """Return a person drawn by the generator; some are children."""

    def pick(options: tuple[Rgb, ...]) -> Rgb:
        return options[int(generator.integers(len(options)))]

    child = generator.random() < 0.12
    height = generator.uniform(1.1, 1.4) if child else generator.normal(1.72, 0.08)
    return Person(
        float(np.clip(height, 1.05, 1.95)),
        float(generator.uniform(0.88, 1.2)),
        pick(_SKINS),
        pick(_HAIRS),
        pick(_CLOTHES),
        pick(_CLOTHES[:8]),
        bool(generator.random() < 0.3),
        bool(generator.random() < 0.15),
    )


def _limb(hip: tuple[float, float, float], swing_rad: float, bend_rad: float, upper_m: float, lower_m: float) -> tuple:
    """Return the joints (start, middle, end) of a limb that hangs from hip, swings and bends in the xz plane."""
    x, y, z = hip
    knee = (x + upper_m * np.sin(swing_rad), y, z - upper_m * np.cos(swing_rad))
    angle = swing_rad - bend_rad
    return hip, knee, (knee[0] + lower_m * np.sin(angle), y, knee[2] - lower_m * np.cos(angle))


def _head(x: float, z: float) -> list[Mesh]:
    skull = ellipsoid((x, 0, z), (0.098, 0.078, 0.125), materials.MATTE, _SKIN)
    hair = ellipsoid((x - 0.018, 0, z + 0.032), (0.102, 0.088, 0.108), materials.MATTE, _HAIR)
    return [skull, hair]


def _dressed(template: Mesh, person: Person, frame: Rgb = (0, 0, 0)) -> Mesh:
    """Return the template with the person's stature and colours."""
    tall = person.height_m / 1.75
    palette = np.array([person.skin, person.hair, person.top, person.trousers, frame], dtype=np.float32)
    coded = template.rgb[:, 1] == _CODED
    rgb = np.where(coded[:, None], palette[template.rgb[:, 0].astype(int) * coded], template.rgb)
    girth = tall * person.build
    return replace(template.scaled((girth, girth, tall)), rgb=rgb.astype(np.float32))


def walking(person: Person, step: int) -> Mesh:
    """Return the person at a step (0 to PHASES - 1) of the stride."""
    return _dressed(_walking(step / PHASES, 1.0, person.bag, person.skirt), person)


def standing(person: Person) -> Mesh:
    """Return the person at rest."""
    return _dressed(_walking(0.0, 0.0, person.bag, person.skirt), person)


def cycling(person: Person, step: int, frame: Rgb) -> Mesh:
    """Return the person on a bicycle at a step of the crank; an adult, whatever the person's height."""
    return _dressed(_cycling(step / PHASES), replace(person, height_m=1.75, build=1.0), frame)


@cache
def _walking(phase: float, stride: float, bag: bool, skirt: bool) -> Mesh:
    """Return the coded figure, 1.75 m tall, at a phase in [0, 1) of the stride."""
    swing = np.sin(2 * np.pi * phase)
    parts: list[Mesh] = []
    hip_z = 0.90 - 0.02 * stride * abs(swing)
    for side in (-1, 1):
        leg = 0.42 * stride * swing * side
        bend = stride * (0.15 + 0.75 * max(0.0, -np.cos(2 * np.pi * phase) * side))
        a, b, c = _limb((0, 0.09 * side, hip_z), leg, bend, 0.43, 0.40)
        parts += [
            capsule(a, b, 0.085, materials.MATTE, _TROUSERS, taper=0.75),
            capsule(b, c, 0.062, materials.MATTE, _SKIN if skirt else _TROUSERS, taper=0.7),
            capsule((c[0], c[1], c[2] - 0.02), (c[0] + 0.15, c[1], c[2] - 0.03), 0.045, materials.MATTE, _SHOE),
        ]
        arm = -0.38 * stride * swing * side
        a, b, c = _limb((0, 0.225 * side, 1.42), arm, -0.25 - 0.2 * stride, 0.29, 0.25)
        parts += [
            capsule(a, b, 0.055, materials.MATTE, _TOP, taper=0.85),
            capsule(b, c, 0.045, materials.MATTE, _TOP, taper=0.8),
            ellipsoid(c, (0.045, 0.035, 0.06), materials.MATTE, _SKIN, rings=4, sides=6),
        ]
    parts.append(_torso(hip_z, skirt))
    parts.append(capsule((0, 0, 1.45), (0.01, 0, 1.56), 0.052, materials.MATTE, _SKIN))
    parts += _head(0.02, 1.63)
    if bag:
        parts.append(ellipsoid((-0.17, 0, 1.22), (0.10, 0.15, 0.21), materials.MATTE, (0.06, 0.07, 0.10)))
    return merge(parts)


def _torso(hip_z: float, skirt: bool) -> Mesh:
    levels = np.array([hip_z - (0.40 if skirt else 0.06), hip_z + 0.05, 1.10, 1.30, 1.43, 1.48])
    deep = np.array([0.15 if skirt else 0.11, 0.12, 0.105, 0.12, 0.10, 0.05])
    wide = np.array([0.20 if skirt else 0.16, 0.17, 0.155, 0.195, 0.20, 0.07])
    angle = np.arange(9) * 2 * np.pi / 9
    rings = [
        np.stack([d * np.cos(angle), w * np.sin(angle), np.full(9, z)], -1)
        for z, d, w in zip(levels, deep, wide, strict=True)
    ]
    mesh = from_vertices(np.concatenate(rings), grid_triangles(6, 9, closed=True), materials.MATTE, _TOP, crease_deg=60)
    mesh.rgb[: 2 * 9] = _TROUSERS
    return mesh


_BIKES: tuple[Rgb, ...] = (
    (0.03, 0.03, 0.035),
    (0.35, 0.04, 0.04),
    (0.05, 0.14, 0.32),
    (0.45, 0.45, 0.44),
    (0.05, 0.25, 0.14),
)


def _bicycle() -> Mesh:
    """Return a bicycle, wheels at x = -0.52 and 0.52."""
    parts = []
    angle = np.linspace(0, 2 * np.pi, 19)
    for x in (-0.52, 0.52):
        rim = np.stack([x + 0.33 * np.cos(angle), 0 * angle, 0.345 + 0.33 * np.sin(angle)], -1)
        parts.append(tube(rim, np.full(19, 0.02), materials.MATTE, (0.03, 0.03, 0.03), sides=5, capped=False))
        for spoke in range(4):
            dx, dz = 0.33 * np.cos(spoke * np.pi / 4), 0.33 * np.sin(spoke * np.pi / 4)
            parts.append(_rod((x - dx, 0, 0.345 - dz), (x + dx, 0, 0.345 + dz), 0.004, (0.4, 0.4, 0.4), sides=3))
    crank, seat, head = (-0.06, 0, 0.30), (-0.20, 0, 0.86), (0.37, 0, 0.88)
    for a, b in (
        (crank, seat),
        (crank, (0.39, 0, 0.74)),
        ((-0.18, 0, 0.80), head),
        ((-0.52, 0, 0.345), crank),
        ((-0.52, 0, 0.345), (-0.18, 0, 0.80)),
        ((0.52, 0, 0.345), head),
        (head, (0.34, 0, 1.02)),
    ):
        parts.append(_rod(a, b, 0.017, _FRAME))
    parts.append(_rod((0.34, -0.28, 1.02), (0.34, 0.28, 1.02), 0.014, (0.05, 0.05, 0.05)))
    parts.append(
        ellipsoid((-0.21, 0, 0.92), (0.14, 0.07, 0.035), materials.MATTE, (0.03, 0.03, 0.03), rings=4, sides=6)
    )
    return merge(parts)


def _rod(a: tuple, b: tuple, radius_m: float, rgb: Rgb, sides: int = 5) -> Mesh:
    return tube(np.array([a, b]), np.array([radius_m, radius_m]), materials.METAL, rgb, sides=sides, capped=False)


@cache
def _cycling(phase: float) -> Mesh:
    """Return the coded rider on a bicycle at a phase of the crank."""
    parts = [_bicycle()]
    hip, shoulder = np.array([-0.17, 0, 0.98]), np.array([0.13, 0, 1.46])
    for side in (-1, 1):
        turn = 2 * np.pi * phase + (np.pi if side > 0 else 0)
        foot = np.array([-0.06 + 0.17 * np.cos(turn), 0.10 * side, 0.33 + 0.17 * np.sin(turn)])
        start = hip + np.array([0, 0.09 * side, 0])
        middle = (start + foot) / 2 + np.array([0.26, 0, 0.08])
        parts += [
            capsule(start, middle, 0.085, materials.MATTE, _TROUSERS, taper=0.75),
            capsule(middle, foot, 0.06, materials.MATTE, _TROUSERS, taper=0.7),
            capsule(foot - np.array([0.05, 0, 0.03]), foot + np.array([0.11, 0, -0.03]), 0.04, materials.MATTE, _SHOE),
        ]
        arm = shoulder + np.array([0.02, 0.19 * side, -0.03])
        elbow, hand = arm + np.array([0.10, 0.05 * side, -0.26]), np.array([0.34, 0.25 * side, 1.05])
        parts += [
            capsule(arm, elbow, 0.052, materials.MATTE, _TOP, taper=0.85),
            capsule(elbow, hand, 0.042, materials.MATTE, _SKIN, taper=0.8),
        ]
    chest = hip * 0.35 + shoulder * 0.65
    parts += [
        tube(
            np.array([hip - np.array([0.02, 0, 0.08]), hip, chest, shoulder, shoulder + np.array([0.03, 0, 0.05])]),
            np.array([0.10, 0.15, 0.155, 0.15, 0.06]),
            materials.MATTE,
            _TOP,
            sides=9,
        ),
        capsule(shoulder, shoulder + np.array([0.06, 0, 0.10]), 0.05, materials.MATTE, _SKIN),
    ]
    parts += _head(0.22, 1.66)
    return merge(parts)


def draw_bike_colour(generator: np.random.Generator) -> Rgb:
    """Return a bicycle frame colour."""
    return _BIKES[int(generator.integers(len(_BIKES)))]
